"use strict";
// Players of one prompt run together: one clock, one sound. Without this script each plays alone.
for (const prompt of document.querySelectorAll(".prompt")) {
  const videos = [...prompt.querySelectorAll("video")];
  if (!videos.length) continue;
  const [bar, button, seek, clock] = [".controls", ".together", ".seek", ".clock"]
    .map((name) => prompt.querySelector(name));
  const picks = [...prompt.querySelectorAll(".pick")];
  const sounds = picks.map((pick) => pick.querySelector(".sound"));
  let running = false, started = 0, offset = 0;

  const length = () => Math.max(...videos.map((video) => video.duration || 0));
  const now = () => Math.min(length(), offset + (running ? (performance.now() - started) / 1000 : 0));
  const hear = (chosen) => videos.forEach((video, place) => { video.muted = place !== chosen; });
  const show = () => {
    const at = now();
    if (document.activeElement !== seek || running) seek.value = length() ? 1000 * at / length() : 0;
    clock.textContent = at.toFixed(1) + " s";
  };
  const place = (at) => videos.forEach((video) => {
    video.currentTime = Math.min(at, video.duration || 0);
  });
  const stop = () => {
    offset = now();
    running = false;
    videos.forEach((video) => video.pause());
    button.textContent = "Play together";
    show();
  };
  const step = () => {
    if (!running) return;
    const at = now();
    for (const video of videos) {
      const is_over = at >= video.duration;
      if (!is_over && Math.abs(video.currentTime - at) > 0.12) video.currentTime = at;
      if (is_over && !video.paused) video.pause();
    }
    show();
    if (at >= length()) stop(); else requestAnimationFrame(step);
  };
  const play = () => {
    if (now() >= length() - 0.05) offset = 0;
    place(offset);
    const playing = videos.map((video) => (offset < video.duration ? video.play() : null));
    Promise.allSettled(playing).then(() => {
      started = performance.now();
      running = true;
      button.textContent = "Pause";
      requestAnimationFrame(step);
    });
  };

  button.addEventListener("click", () => (running ? stop() : play()));
  seek.addEventListener("input", () => {
    const was = running;
    if (was) stop();
    offset = seek.value / 1000 * length();
    place(offset);
    show();
    if (was) play();
  });
  sounds.forEach((sound, index) => sound.addEventListener("change", () => hear(index)));
  [bar, ...picks].forEach((one) => { one.hidden = false; });
  sounds[0].checked = true;
  hear(0);
  for (const video of videos) {
    // Controls hide the mouth: they appear under the pointer and with the focus.
    video.controls = false;
    video.tabIndex = 0;
    const reveal = (event) => { video.controls = event.type === "pointerenter" || event.type === "focus"; };
    for (const name of ["pointerenter", "pointerleave", "focus", "blur"]) video.addEventListener(name, reveal);
    // A player started by hand is heard.
    video.addEventListener("play", () => {
      if (!running && videos.filter((other) => !other.paused).length === 1) video.muted = false;
    });
  }
}
