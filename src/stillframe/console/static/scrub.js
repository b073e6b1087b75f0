// A job's video in Plyr with the thumbnails of its track; and its tiles by themselves, for those who go by keys, and
// where the browser cannot play the video.
"use strict";

const KEYS = {
  ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity,
};
const CONTROLS = ["play-large", "play", "progress", "current-time", "duration", "mute", "volume", "settings", "fullscreen"];

function scrub(section) {
  const video = section.querySelector("video"), details = section.querySelector("[data-by-tile]");
  const say = (text) => { section.querySelector("[data-said]").textContent = text; };
  details.addEventListener("toggle", () => { if (details.open) showTiles(section, details).catch((error) => say(error.message)); });
  let isOver = false;
  const instead = (why) => {
    if (isOver) return;
    isOver = true;
    section.querySelector("[data-film]")?.remove();
    if (why) say(why);
    details.open = true;
  };
  if (!video) return instead();
  const cannot = "This browser cannot play the video. Its tiles can be scrubbed all the same.";
  let isSeen = false;
  const look = () => { if (video.videoWidth) isSeen = true; else instead(cannot); };
  video.addEventListener("loadedmetadata", look);
  video.addEventListener("error", () => {
    instead(isSeen ? "The video cannot be read any more. Its link is good for an hour: load the page again." : cannot);
  });
  if (video.error || !video.canPlayType(video.dataset.type)) return instead(cannot);
  if (video.readyState >= HTMLMediaElement.HAVE_METADATA) look();
  if (!window.Plyr) return instead("The player could not be loaded. The tiles can be scrubbed all the same.");
  return play(section, video, say, () => isOver);
}

async function play(section, video, say, isOver) {
  let hasCues = false;
  try {
    // Plyr stumbles over a track without cues
    const answer = await fetch(section.dataset.track);
    hasCues = answer.ok && (await answer.text()).includes("#xywh=");
  } catch { /* told below */ }
  if (isOver()) return;
  if (!hasCues) say("The track cannot be read: the video is shown without its thumbnails.");
  new Plyr(video, {
    controls: CONTROLS,
    settings: ["speed"],
    iconUrl: section.dataset.icons,
    blankVideo: "",
    storage: { enabled: false },
    previewThumbnails: { enabled: hasCues, src: section.dataset.track },
  });
}

async function showTiles(section, details) {
  if (details.dataset.filled !== undefined) return;
  details.dataset.filled = "";
  const answer = await fetch(section.dataset.tiles);
  if (!answer.ok) throw new Error("The track cannot be read. What is wrong with it stands under Track check.");
  const { pictures, tiles } = await answer.json();
  if (!tiles.length) throw new Error("There are no tiles in the track.");
  details.append(details.querySelector("template").content.cloneNode(true));
  const film = details.querySelector(".tile"), svg = film.querySelector("svg"), image = film.querySelector("image");
  const slider = details.querySelector("input"), told = details.querySelector("[data-told]");
  const sizes = new Map(), ends = tiles[tiles.length - 1][1];
  slider.max = ends;
  let current = -1;

  const sizeOf = (url) => {
    if (!sizes.has(url)) {
      const picture = new Image();
      picture.src = url;
      sizes.set(url, picture.decode().then(() => [picture.naturalWidth, picture.naturalHeight]));
    }
    return sizes.get(url);
  };
  const draw = async (number) => {
    const [, , picture, x, y, width, height] = tiles[number], url = pictures[picture];
    let all;
    try {
      all = await sizeOf(url);
    } catch {
      if (number === current) { film.classList.add("missing"); image.removeAttribute("href"); film.dataset.shown = ""; }
      return;
    }
    // the pointer may be elsewhere by now
    if (number !== current) return;
    film.classList.remove("missing");
    svg.setAttribute("viewBox", `${x} ${y} ${width || all[0]} ${height || all[1]}`);
    image.setAttribute("width", all[0]);
    image.setAttribute("height", all[1]);
    if (image.getAttribute("href") !== url) image.setAttribute("href", url);
    film.dataset.shown = number + 1;
  };
  const show = (number) => {
    if (number === current) return;
    current = number;
    const text = clock(tiles[number][0]);
    told.textContent = text;
    slider.setAttribute("aria-valuetext", `${text}, tile ${number + 1} of ${tiles.length}`);
    draw(number);
  };
  // the last one that has begun; before the first one, the first
  const at = (moment) => {
    let low = 0, high = tiles.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (tiles[middle][0] <= moment) low = middle; else high = middle - 1;
    }
    return low;
  };
  const go = (number) => {
    show(Math.min(Math.max(number, 0), tiles.length - 1));
    slider.value = tiles[current][0];
  };
  const point = (event) => {
    const box = film.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    slider.value = share * ends;
    show(at(share * ends));
  };
  slider.addEventListener("input", () => show(at(Number(slider.value))));
  slider.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(current + KEYS[event.key]);
  });
  film.addEventListener("pointermove", point);
  film.addEventListener("pointerdown", point);
  go(0);
}

// as the server writes moments: 1:02:03.500
function clock(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000), hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60, two = (number) => String(number).padStart(2, "0");
  const text = hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  return milliseconds % 1000 ? `${text}.${String(milliseconds % 1000).padStart(3, "0")}` : text;
}

function scrubAll() {
  for (const section of document.querySelectorAll("[data-scrub]:not([data-begun])")) {
    section.dataset.begun = "";
    scrub(section);
  }
}

// what htmx puts into the page later, too
document.addEventListener("htmx:load", scrubAll);
scrubAll();
