// What do real players make of a thumbnail track?
//
//     node parse_track.mjs FILE.vtt...
//
// Prints a JSON list: for each file what each player reads, {cues: [{start, end, url, x, y, w, h}]} in seconds and
// pixels (null where there is no number), or {error}. The code that runs is the players' own, as published; only what
// a browser would give them is stubbed. The track is taken to lie at TRACK_URL, so that each player's way of resolving
// addresses shows.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const TRACK_URL = "https://videos.test/shows/track.vtt";
const PAGE_URL = "https://videos.test/watch/page.html";

const PLAYERS = {
  "webvtt-parser": readWithWebVttParser,
  "media-captions": readWithMediaCaptions,
  "videojs-vtt-thumbnails": readWithVideoJs,
  Plyr: readWithPlyr,
  Vidstack: readWithVidstack,
  ArtPlayer: readWithArtPlayer,
  "Media Chrome": readWithMediaChrome,
};

const reports = [];
for (const file of process.argv.slice(2)) {
  // Browsers strip a byte order mark, and so does TextDecoder.
  const text = new TextDecoder().decode(readFileSync(file));
  const report = { file, players: {} };
  for (const [player, read] of Object.entries(PLAYERS)) {
    try {
      report.players[player] = { cues: await read(text) };
    } catch (error) {
      report.players[player] = { error: String(error) };
    }
  }
  reports.push(report);
}
console.log(JSON.stringify(reports));

/** The W3C's validator: any error is an error. */
function readWithWebVttParser(text) {
  const { cues, errors } = parseAsBrowser(text);
  if (errors.length) throw new Error(errors.map(({ line, message }) => `line ${line}: ${message}`).join("; "));
  return cues.map(fromCueText);
}

async function readWithMediaCaptions(text) {
  const { parseText } = await import("media-captions");
  const { cues, errors } = await parseText(text, { strict: false, errors: true });
  if (errors.length) throw new Error(errors.map(({ line, message }) => `line ${line}: ${message}`).join("; "));
  return cues.map(fromCueText);
}

/** The plugin's constructor wants a player and a page; `processVtt` is what it calls with the file's text. */
function readWithVideoJs(text) {
  const player = { ready: (callback) => callback(), addClass() {}, on() {} };
  const sandbox = {
    window: { location: new URL(PAGE_URL) },
    XMLHttpRequest: class {
      addEventListener() {}
      open() {}
      send() {}
    },
    videojs: {
      registerPlugin: (_, plugin) => (sandbox.plugin = plugin),
      mergeOptions: (...options) => Object.assign({}, ...options),
    },
  };
  vm.runInNewContext(source("videojs-vtt-thumbnails/dist/videojs-vtt-thumbnails.js"), sandbox);
  sandbox.plugin.call(player, { src: TRACK_URL });
  return player.vttThumbnails.processVtt(text).map(({ start, end, css }) => {
    const [, url, x, y] = css.background.match(/^url\("(.*)"\)(?: no-repeat -(\d+)px -(\d+)px)?$/);
    return cue(start, end, url, x, y, parseInt(css.width), parseInt(css.height));
  });
}

/** `getThumbnail` loads the track, parses it and decides on the prefix of its addresses. */
async function readWithPlyr(text) {
  const sandbox = {
    Image: class {
      set src(_) {
        this.onload();
      }
    },
    XMLHttpRequest: class {
      withCredentials = false;
      responseText = text;
      addEventListener(event, listener) {
        if (event === "load") this.loaded = listener;
      }
      open() {}
      send() {
        this.loaded();
      }
    },
    navigator: { userAgent: "", platform: "" },
    document: { documentElement: { style: {} }, createElement: () => ({ style: {} }) },
  };
  sandbox.window = { document: sandbox.document, addEventListener() {}, removeEventListener() {} };
  const code = source("plyr/dist/plyr.mjs").replace(/^export \{.*\};$/m, "({ parseVtt, PreviewThumbnails });");
  const { parseVtt, PreviewThumbnails } = vm.runInNewContext(code, sandbox);
  if (!parseVtt(text).length) return [];
  const player = { config: { previewThumbnails: { enabled: false } }, elements: { display: {} } };
  const preview = new PreviewThumbnails(player);
  await preview.getThumbnail(TRACK_URL);
  const [{ frames, urlPrefix }] = preview.thumbnails;
  return frames.map((frame) =>
    cue(frame.startTime, frame.endTime, urlPrefix + frame.text, frame.x, frame.y, frame.w, frame.h),
  );
}

/** The loader is a private class of a large bundle: its own region of the file is run, with signals stubbed. */
function readWithVidstack(text) {
  const path = vidstackLoader();
  const code = source(path).match(/^\/\/#region \S*thumbnail-loader\.ts$([\s\S]*?)^\/\/#endregion$/m)[1];
  return new Promise((resolve, reject) => {
    const is = (type) => (value) => typeof value === type;
    const stubs = {
      signal: () => ({ set: (images) => resolve(images.map(fromVidstackImage)) }),
      effect: (run) => run(),
      peek: (read) => read(),
      assert: (condition, message) => {
        if (!condition) throw new Error(message);
      },
      isString: is("string"),
      isNumber: is("number"),
      isObject: is("object"),
      isArray: Array.isArray,
      getRequestCredentials: () => "omit",
      location: { href: PAGE_URL },
      fetch: async () => new Response(text, { headers: { "content-type": "text/vtt" } }),
    };
    const script = new vm.Script(`(({ ${Object.keys(stubs).join(", ")} }) => {${code}; return ThumbnailsLoader; })`, {
      filename: fileURLToPath(new URL(`node_modules/${path}`, import.meta.url)),
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    const logger = {
      errorGroup: () => logger,
      labelledLog: (label, value) => {
        if (label === "Error") reject(value);
        return logger;
      },
      dispatch() {},
    };
    const ThumbnailsLoader = script.runInThisContext()(stubs);
    new ThumbnailsLoader(() => TRACK_URL, () => null, { $state: { canLoad: () => true }, logger });
  });
}

async function readWithArtPlayer(text) {
  const sandbox = { fetch: async () => ({ text: async () => text }) };
  const path = "artplayer-plugin-vtt-thumbnail/dist/artplayer-plugin-vtt-thumbnail.mjs";
  const getVttArray = vm.runInNewContext(source(path).replace(/^export \{[\s\S]*\};$/m, "getVttArray;"), sandbox);
  const thumbnails = await getVttArray(TRACK_URL);
  return thumbnails.map(({ start, end, url, x, y, w, h }) => {
    // These go into CSS as they are: the address without quotes, the numbers as `-${x}px -${y}px`.
    if (/[\s"'()\\]/.test(url)) throw new Error(`CSS does not read url(${url})`);
    if (/\s/.test(`${x}${y}${w}${h}`)) throw new Error(`CSS does not read -${x}px -${y}px`);
    return cue(start, end, url, x, y, w, h);
  });
}

/** Media Chrome asks the browser's own text track; the W3C's parser stands in for the browser. */
async function readWithMediaChrome(text) {
  const { requestMap } = await import("media-chrome/dist/media-store/request-map.js");
  const { MediaUIEvents } = await import("media-chrome/dist/constants.js");
  const { cues, errors } = parseAsBrowser(text);
  // The validator reads on after a wrong first line; browsers do not.
  if (errors.some(({ message }) => message.startsWith("No valid signature"))) return [];
  const media = {
    textTracks: [{ kind: "metadata", label: "thumbnails", cues }],
    querySelector: () => ({ src: TRACK_URL }),
  };
  const state = { mediaDuration: { get: () => cues.at(-1).endTime }, mediaChaptersCues: { get: () => [] } };
  return cues.map(({ startTime, endTime }) => {
    const request = { type: MediaUIEvents.MEDIA_PREVIEW_REQUEST, detail: (startTime + endTime) / 2 };
    const { mediaPreviewImage, mediaPreviewCoords } = requestMap[request.type](state, { media }, request);
    return cue(startTime, endTime, mediaPreviewImage.split("#xywh=")[0], ...mediaPreviewCoords);
  });
}

function parseAsBrowser(text) {
  const { WebVTTParser } = createRequire(import.meta.url)("webvtt-parser");
  return new WebVTTParser().parse(text, "metadata");
}

function fromCueText({ startTime, endTime, text }) {
  const [url, region] = text.split("#xywh=");
  return cue(startTime, endTime, new URL(url, TRACK_URL).href, ...(region?.split(",") ?? []));
}

function fromVidstackImage({ startTime, endTime, url, coords, width, height }) {
  return cue(startTime, endTime, url.href, coords?.x, coords?.y, width, height);
}

/** What a player leaves relative, the browser resolves against the page. */
function cue(start, end, url, ...region) {
  const [x, y, w, h] = [0, 1, 2, 3].map((side) => Number(region[side]));
  return { start, end, url: new URL(url, PAGE_URL).href, x, y, w, h };
}

function source(path) {
  return readFileSync(new URL(`node_modules/${path}`, import.meta.url), "utf8");
}

function vidstackLoader() {
  const [, chunk] = source("vidstack/dev/vidstack.js").match(/\bThumbnailsLoader\b.* from "\.\/(.*)";$/m);
  return `vidstack/dev/${chunk}`;
}
