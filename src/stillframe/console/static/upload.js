// Sends one file as it is, with its progress: <form data-upload="/console/buckets">. What the server answers is shown.
"use strict";

function uploading(form) {
  const fields = form.elements;
  const file = fields["upload-file"];
  const said = form.querySelector("[data-said]");
  const sending = form.querySelector("[data-sending]");
  const bar = sending.querySelector("progress");
  const count = sending.querySelector("span");
  const cancel = form.querySelector("[data-cancel]");
  const send = form.querySelector("button.main");
  const headers = { "HX-Request": "true", ...JSON.parse(document.body.getAttribute("hx-headers")) };
  let request = null;

  const size = (bytes) => {
    const steps = ["B", "kB", "MB", "GB", "TB"];
    let step = 0;
    for (; bytes >= 1000 && step < 4; step += 1) bytes /= 1000;
    return `${bytes.toFixed(step ? 1 : 0)} ${steps[step]}`;
  };
  // all of it was escaped by the server, and the page's policy lets nothing in it run
  const say = (html) => { said.innerHTML = html; };
  const tell = (kind, text) => {
    const line = document.createElement("p");
    line.className = `flash ${kind}`;
    line.textContent = text;
    said.replaceChildren(line);
  };
  const lost = () => tell("failed", "The connection was lost before all of it was there. Nothing of it was kept; try again.");
  const busy = (is) => {
    send.disabled = is;
    sending.hidden = cancel.hidden = !is;
    if (is) cancel.focus();
    else request = null;
  };
  const key = () => {
    const folder = fields["upload-folder"].value.replace(/^\/+|\/+$/g, "");
    return (folder ? `${folder}/` : "") + file.files[0].name;
  };
  window.addEventListener("beforeunload", (event) => { if (request) event.preventDefault(); });

  async function start() {
    const target = { bucket: fields["upload-bucket"].value, key: key() };
    const address = `${form.dataset.upload}/${encodeURIComponent(target.bucket)}/object?key=${encodeURIComponent(target.key)}`;
    said.replaceChildren();
    send.disabled = true;
    let answer;
    try {
      answer = await fetch(address, { headers });
    } catch {
      send.disabled = false;
      tell("failed", "The server cannot be reached. Nothing was sent.");
      return;
    }
    const text = await answer.text();
    const away = answer.headers.get("HX-Redirect");
    if (away) { location = away; return; }
    if (!answer.ok) { send.disabled = false; say(text); return; }
    if (answer.status === 200 && !confirm(text)) { send.disabled = false; return; }
    put(address + (answer.status === 200 ? "&replace=true" : ""), target);
  }

  function put(address, target) {
    const whole = file.files[0];
    request = new XMLHttpRequest();
    request.open("PUT", address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => {
      const share = event.total ? Math.floor((event.loaded / event.total) * 100) : 100;
      bar.value = share;
      count.textContent = share < 100 ? `${size(event.loaded)} of ${size(event.total)}` : "All is sent; it is written to the disk or the store";
    };
    request.onload = () => {
      const answer = request;
      busy(false);
      const away = answer.getResponseHeader("HX-Redirect");
      if (away) { location = away; return; }
      // a server that ends says less
      if (answer.getResponseHeader("Content-Type")?.startsWith("text/html")) say(answer.responseText);
      else lost();
      if (answer.status !== 201) return;
      file.value = "";
      form.dispatchEvent(new CustomEvent("uploaded", { bubbles: true, detail: target }));
      const link = said.querySelector("a");
      if (link) link.focus();
    };
    request.onerror = () => {
      busy(false);
      lost();
    };
    request.onabort = () => {
      busy(false);
      tell("note", "Cancelled. Nothing of it was kept.");
      send.focus();
    };
    bar.value = 0;
    count.textContent = `0 B of ${size(whole.size)}`;
    busy(true);
    request.send(whole);
  }

  form.hidden = false;
  cancel.addEventListener("click", () => { if (request) request.abort(); });
  form.addEventListener("submit", (event) => { event.preventDefault(); if (!request) start(); });
  form.addEventListener("dragover", (event) => {
    if (request || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    form.classList.remove("over");
    if (request || !event.dataTransfer.files.length) return;
    event.preventDefault();
    file.files = event.dataTransfer.files;
  });
}

document.querySelectorAll("[data-upload]").forEach(uploading);
