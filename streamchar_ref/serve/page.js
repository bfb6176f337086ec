"use strict";
// The page of `streamchar serve`. Sound is the clock: each piece of sound is scheduled on the
// AudioContext, and the picture is the one that belongs to the sound that is being heard.

const PEOPLE = ["10006", "14", "10007", "9", "3", "12", "1", "10004"];
const FIRST_TEXT = "Hello. Nobody recorded this. Change my words, and I will say the new ones.";
const MORE = "More words, or other ones.";
const LEAST_BUFFER_S = 0.04, MOST_BUFFER_S = 1.5, MAX_PICTURE = 8 * 2 ** 20;
const IS_LAST = 1, SKIPS_WAIT = 2, HEADER_BYTES = 66;
const $ = (id) => document.getElementById(id);

// ---------------------------------------------------------------- chunks, as serve/wire.py packs them
function unpack(data) {
  const view = new DataView(data);
  const number = {
    flags: view.getUint16(4, true), columns: view.getUint16(6, true), stream: view.getUint32(8, true),
    index: view.getUint32(12, true), rate: view.getUint32(16, true), fps: view.getFloat32(20, true),
    samples: view.getUint32(24, true), frames: view.getUint16(28, true), width: view.getUint16(30, true),
    height: view.getUint16(32, true), spoken: view.getFloat32(34, true), start_s: view.getFloat64(38, true),
    made_s: view.getFloat64(46, true), took_s: view.getFloat32(54, true), sent_s: view.getFloat64(58, true),
  };
  const end = HEADER_BYTES + 2 * number.samples;
  return {
    ...number,
    length_s: number.samples / number.rate,
    pcm: new Int16Array(data, HEADER_BYTES, number.samples),
    jpeg: new Blob([new Uint8Array(data, end)], { type: "image/jpeg" }),
  };
}

// ---------------------------------------------------------------- player: one clock for sound and picture
class Player {
  constructor(onArrival) {
    this.onArrival = onArrival;
    this.queue = [];          // chunks that are, or will be, played
    this.last = null;         // the last one that was drawn
    this.lateness = [];       // how late recent chunks were, had the first been played at once
    this.begin(0);
  }

  async open(rate) {
    if (!this.context) this.context = new AudioContext({ sampleRate: rate });
    await this.context.resume();
  }

  begin(stream) {
    this.stop();
    this.stream = stream;
    this.next_s = null;       // when the next chunk is to be heard
    this.origin_s = null;     // when the first chunk came, less its place in the stream
    this.spoken = 0;
    this.order = Promise.resolve();
  }

  stop() {
    for (const chunk of this.queue) this.drop(chunk);
    this.queue = [];
    this.stream = 0;
  }

  drop(chunk, when_s = 0) {
    chunk.source.stop(when_s);
    chunk.sheet.close();
  }

  get buffer_s() {            // what would have sufficed for all recent arrivals, and a little more
    const worst = Math.max(0, ...this.lateness);
    return Math.min(LEAST_BUFFER_S + worst, MOST_BUFFER_S);
  }

  arrive(chunk) {
    chunk.arrived_s = this.context.currentTime;
    const ready = createImageBitmap(chunk.jpeg);
    this.order = this.order.then(async () => {
      chunk.sheet = await ready;
      if (chunk.stream === this.stream) this.schedule(chunk);
    });
    return this.order;
  }

  schedule(chunk) {
    const now = this.context.currentTime;
    this.forget(now - MOST_BUFFER_S);  // nobody draws while the page is hidden
    if (chunk.flags & SKIPS_WAIT) this.skip(now);
    if (this.origin_s === null) this.origin_s = chunk.arrived_s - chunk.start_s;
    this.lateness = [...this.lateness.slice(-63), chunk.arrived_s - this.origin_s - chunk.start_s];
    const isFirst = this.next_s === null;
    const early_s = isFirst ? this.buffer_s : this.next_s - chunk.arrived_s;
    const isGap = !isFirst && this.next_s < now;
    if (isFirst || isGap) this.next_s = now + this.buffer_s;
    this.play(chunk, Math.round(this.next_s * chunk.rate) / chunk.rate);
    this.next_s += chunk.length_s;
    this.onArrival({ early_s, isGap, isFirst, took_s: chunk.took_s, length_s: chunk.length_s });
  }

  skip(now) {                 // what waits is silence, and there is something to say
    for (const chunk of this.queue.filter((each) => each.starts_s > now)) this.drop(chunk);
    this.queue = this.queue.filter((each) => each.starts_s <= now);
    for (const chunk of this.queue) chunk.source.stop(now + 0.01);
    this.next_s = this.origin_s = null;
  }

  play(chunk, starts_s) {
    const sound = this.context.createBuffer(1, chunk.samples, chunk.rate);
    sound.copyToChannel(Float32Array.from(chunk.pcm, (value) => value / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = sound;
    source.connect(this.context.destination);
    source.start(starts_s);
    this.queue.push({ ...chunk, pcm: null, source, starts_s, before: this.spoken });
    this.spoken = chunk.spoken;
  }

  // The chunk whose sound is being heard, how far it has got, and the phoneme that it is at.
  get heard() {
    if (!this.context) return null;
    const latency_s = Math.min(this.context.outputLatency || 0, 0.3);
    const now = this.context.currentTime - latency_s;
    this.forget(now);
    const chunk = this.queue[0];
    if (!chunk || chunk.starts_s > now) return null;
    const t_s = Math.min(now - chunk.starts_s, chunk.length_s);
    const spoken = chunk.before + (chunk.spoken - chunk.before) * (t_s / chunk.length_s);
    return { chunk, frame: Math.min(Math.floor(t_s * chunk.fps), chunk.frames - 1), spoken };
  }

  forget(now) {               // what has been heard
    while (this.queue.length > 1 && this.queue[1].starts_s <= now) this.drop(this.queue.shift());
  }

  get isPlaying() {           // also what has come and waits to be heard
    const last = this.queue.at(-1);
    return !!last && last.starts_s + last.length_s > this.context.currentTime;
  }
}

// ---------------------------------------------------------------- picture
const small = document.createElement("canvas");  // one picture alone: no neighbour shows at its edges

function draw({ chunk, frame }) {
  const screen = $("screen"), side = Math.round(screen.clientWidth * devicePixelRatio);
  if (screen.width !== side) screen.width = screen.height = side;
  const { width, height, columns } = chunk;
  if (small.width !== width || small.height !== height) Object.assign(small, { width, height });
  small.getContext("2d").drawImage(chunk.sheet, -(frame % columns) * width, -Math.floor(frame / columns) * height);
  const pen = screen.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, side, side);
}

// ---------------------------------------------------------------- captions
class Captions {
  constructor() { this.show([], 0); }

  show(words, end) {
    const spans = words.map(([word, start]) => {
      const span = document.createElement("span");
      span.textContent = word;
      return { span, start };
    });
    $("captions").replaceChildren(...spans.flatMap(({ span }) => [span, " "]));
    this.words = spans;
    this.end = end;
    this.at = null;
  }

  move(spoken, isOver) {
    const current = this.words.findLastIndex(({ start }) => start < spoken);
    const key = `${current} ${isOver}`;
    if (key === this.at) return;
    this.at = key;
    this.words.forEach(({ span }, index) => {
      span.className = index < current || (isOver && index === current) ? "said" : index === current ? "now" : "";
    });
    const box = $("captions"), word = this.words[Math.max(current, 0)]?.span;
    if (word) box.scrollTop = word.offsetTop - box.offsetTop - word.offsetHeight;
  }
}

// ---------------------------------------------------------------- trace of arrivals
class Trace {
  constructor() {
    this.points = [];
    this.gaps = 0;
    addEventListener("resize", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(point) {
    this.points = [...this.points.slice(-79), point];
    this.gaps += point.isGap;
    const recent = this.points.slice(-8), sum = (key) => recent.reduce((all, each) => all + each[key], 0);
    $("work").textContent = `${(sum("took_s") / sum("length_s")).toFixed(2)} s`;
    $("gaps").textContent = this.gaps;
    $("gaps-word").textContent = this.gaps === 1 ? "gap" : "gaps";
    $("gaps").classList.toggle("bad", this.gaps > 0);
    this.draw();
  }

  draw() {
    const canvas = $("trace"), ratio = devicePixelRatio, style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.dataset.points = this.points.length;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const top = Math.max(1.5, ...this.points.map((point) => point.early_s)), bottom = height - 9;
    const y = (early_s) => Math.min(bottom - (early_s / top) * (bottom - 6), height - 4);
    const step = Math.min(12, (width - 12) / Math.max(this.points.length, 1)), left = width - 6 - step * (this.points.length - 1);
    pen.fillStyle = colour("--line");
    pen.fillRect(0, bottom, width, 1);
    this.points.forEach((point, index) => {
      const x = left + index * step;
      pen.fillStyle = pen.strokeStyle = colour(point.isGap ? "--ink" : "--accent");
      pen.globalAlpha = 0.25;
      pen.fillRect(x - 0.75, y(point.early_s), 1.5, bottom - y(point.early_s));
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.arc(x, y(point.early_s), 2.5, 0, 7);
      point.isGap ? pen.stroke() : pen.fill();
    });
  }
}

// ---------------------------------------------------------------- the page
const trace = new Trace(), captions = new Captions();
const player = new Player((point) => trace.add(point));
let socket, hello = null, who = PEOPLE[0], own = null, asked_ms = null, asked_from = 0, isOpen = false, drawn = null, typed = "";

function say(message = "") { $("message").textContent = message && message[0].toUpperCase() + message.slice(1); }

function give_back(reason) {  // what could not be said
  asked_ms = null;
  if (!$("text").value) $("text").value = typed;
  say(reason);
}

function connect() {
  socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? receive(JSON.parse(data)) : player.arrive(unpack(data)));
  socket.onclose = ({ reason }) => {
    isOpen = false;
    hello = null;
    say(reason ? `The connection has ended: ${reason}. Reload the page to go on.` : "The connection has ended. Reload the page when the program runs.");
  };
}

const RECEIVERS = {
  hello(message) {
    hello = message;
    $("text").maxLength = message.max_letters;
    for (const voice of message.voices) $("voice").append(new Option(voice[0].toUpperCase() + voice.slice(1), voice));
  },
  begun({ stream }) { player.begin(stream); say(); },
  captions({ words, end }) { captions.show(words, end); isOpen = true; },
  portrait({ picture }) { own = picture; choose("own"); say(); },
  refused({ reason }) { give_back(reason); },
  error({ reason }) { give_back(reason); },
  ended({ stream, reason }) {
    if (stream !== player.stream) return;
    isOpen = false;
    if (reason !== "all is said" && reason !== "stopped") say(reason);
  },
};
function receive(message) { RECEIVERS[message.is]?.(message); }

async function ask(action) {
  const text = $("text").value.trim();
  if (!hello) return say("Not connected. Reload the page when the program runs.");
  if (!text) return say("Type something to say.");
  say();
  if (document.body.dataset.state !== "speaking") [asked_ms, asked_from] = [performance.now(), isOpen ? player.spoken : 0];
  await player.open(hello.sample_rate);
  socket.send(JSON.stringify({ do: action, text, character: who, voice: $("voice").value }));
  typed = text;
  $("text").value = "";
  $("text").placeholder = MORE;
}

function hush() {
  player.stop();
  isOpen = false;
  asked_ms = null;
  socket.send(JSON.stringify({ do: "stop" }));
}

function choose(number) {
  if (isOpen) hush();
  who = number;
  document.body.classList.remove("live");
  drawn = null;
  $("portrait").src = number === "own" ? own : `face/${number}`;
  for (const button of $("people").children) button.setAttribute("aria-checked", button.dataset.who === number);
  if (own) $("people").lastChild.style.backgroundImage = `url(${own})`;
  captions.show([], 0);
}

function bring(file) {
  if (!file) return;
  if (file.size > MAX_PICTURE) return say("This picture is larger than 8 MB.");
  say("Looking at the picture …");
  socket.send(file);
}

function listPeople() {
  const buttons = [...PEOPLE, "own"].map((number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.who = number;
    button.setAttribute("role", "radio");
    if (number === "own") {
      button.className = "own";
      button.textContent = "+";
      button.title = "A picture of your own";
      button.onclick = () => $("file").click();
    } else {
      const face = new Image();
      face.src = `face/${number}`;
      face.alt = `Character ${number}`;
      button.append(face);
      button.onclick = () => choose(number);
    }
    return button;
  });
  $("people").replaceChildren(...buttons);
}

function tick() {
  const heard = player.heard, speaking = isOpen && (heard?.spoken ?? 0) < captions.end - 0.5;
  if (heard) follow(heard, speaking);
  const state = speaking ? "speaking" : isOpen ? "listening" : player.isPlaying ? "ending" : "still";
  if (state !== document.body.dataset.state) show(state);
  requestAnimationFrame(tick);
}

function follow(heard, speaking) {
  const key = `${heard.chunk.stream} ${heard.chunk.index} ${heard.frame} ${innerWidth}`;
  if (key === drawn) return;
  drawn = key;
  draw(heard);
  captions.move(heard.spoken, !speaking);
  if (!document.body.classList.contains("live")) document.body.classList.add("live");
  if (asked_ms !== null && heard.spoken > asked_from) {
    $("first").textContent = `${((performance.now() - asked_ms) / 1000).toFixed(2)} s`;
    asked_ms = null;
  }
}

function show(state) {
  document.body.dataset.state = state;
  $("speak").textContent = state === "speaking" ? "Say this next" : "Speak";
  $("replace").hidden = state !== "speaking";
  $("stop").hidden = !(state === "speaking" || state === "listening");
}

$("form").onsubmit = (event) => { event.preventDefault(); ask("speak"); };
$("replace").onclick = () => ask("replace");
$("stop").onclick = hush;
$("voice").onchange = () => { if (isOpen) hush(); };
$("file").onchange = ({ target }) => { bring(target.files[0]); target.value = ""; };
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask("speak"); }
};
$("text").value = FIRST_TEXT;
listPeople();
choose(who);
connect();
trace.draw();
requestAnimationFrame(tick);
