// Goes through the images of a review by keyboard. Each decision is sent at once, one after the other,
// and the next image comes when the server has written it down.
"use strict";

const MOST = 9; // classes shown at once, as many as there are keys with numbers
const LEFT_OUT = "leave_out";
let images = [], classes = [], file = "", place = 0, typed = "";
let turn = Promise.resolve();

const lettered = () => classes.every((name) => [...name].length === 1);
const numbered = () => !classes.some((name) => /\d/.test(name)); // else a number is part of a name
const begins = (name) => name.toLowerCase().startsWith(typed.toLowerCase());

// The classes to choose from, each with its key: the name itself where all are one character, else a
// number where none has a digit, else "". One that is typed in full comes first.
function choices() {
  if (lettered()) return classes.map((name) => [name, name]);
  let shown = classes.filter(begins);
  const { label, suggested } = images[place];
  const first = [typed, ...(shown.length > MOST ? [suggested, label] : [])];
  shown = [...new Set([...first.filter((name) => shown.includes(name)), ...shown])];
  const keys = numbered();
  return shown.slice(0, MOST).map((name, number) => [keys ? String(number + 1) : "", name]);
}

function choice([key, name]) {
  const { label, suggested } = images[place];
  const notes = [name === label && "its label", name === suggested && "likelier"].filter(Boolean);
  return made("button", { className: "choice", onclick: () => act(() => decide(name)) }, [
    ...(key ? [made("kbd", { textContent: key })] : []),
    made("span", { textContent: name }),
    ...notes.map((textContent) => made("small", { textContent })),
  ]);
}

function said({ decided }) {
  if (!decided) return "not decided yet";
  if (decided.decision === LEFT_OUT) return "decided: left out";
  return `decided: ${decided.label}`;
}

function show() {
  const count = images.filter((image) => image.decided).length;
  at("#model").textContent = `${count} of ${images.length} decided, in ${file}`;
  at("#review").hidden = place >= images.length;
  at("#end").hidden = place < images.length;
  at("#end").textContent =
    `That was the last one. ${count} of ${images.length} are decided. \`dvc repro\` runs what they change; ⌫ goes back.`;
  if (place >= images.length) return;
  const image = images[place];
  at(".image img").src = `images/${place}`;
  at(".image figcaption").textContent = `${image.path} (${image.split})`;
  at(".other").hidden = !image.other;
  if (image.other) {
    at(".other img").src = `images/${place}?other=true`;
    at(".other figcaption").textContent = `${image.other.path}: ${image.other.label}`;
  }
  at("h2").textContent = `${place + 1} of ${images.length}: ${image.label}`;
  at("#reasons").replaceChildren(...image.reasons.map((textContent) => made("li", { textContent })));
  at("#decided").textContent = said(image);
  const shown = choices();
  const more = classes.filter(begins).length - shown.length;
  at("#classes").replaceChildren(...shown.map(choice));
  at("#typed").textContent = typed
    ? `classes with ${typed}…: Enter takes the first`
    : more > 0 ? `${more} more classes: type how the name begins` : "";
  new Image().src = `images/${Math.min(place + 1, images.length - 1)}`; // so that it is there
}

async function send(path, body) {
  let response;
  try {
    const headers = { "Content-Type": "application/json" };
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Error("not written: the server does not answer; is it still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(`not written: ${answer.error || response.status}`);
  return answer;
}

async function decide(label) {
  images[place].decided = await send("decide", { number: place, label });
  move(1);
}

async function back() {
  if (!place) return; // there is none before
  move(-1);
  if (!images[place].decided) return;
  await send("take_back", { number: place });
  images[place].decided = null;
}

function move(by) {
  place = Math.max(0, Math.min(place + by, images.length));
  typed = "";
}

// Narrows the classes and decides nothing: what else is typed of the name would go to the next image.
function type(letter) {
  const before = typed;
  typed += letter;
  if (!classes.some(begins)) typed = before;
}

// Does one thing after the other, however fast they are asked for.
function act(what) {
  turn = turn.then(async () => {
    at(".error").hidden = true;
    try {
      await what();
    } catch (error) {
      at(".error").textContent = error.message;
      at(".error").hidden = false;
    }
    show();
  });
}

const there = (what) => () => place < images.length && what();
const keep = there(() => decide(images[place].label));
const leaveOut = there(() => decide(null));
const KEYS = {
  Enter: there(() => decide(typed ? choices()[0][1] : images[place].label)),
  Delete: leaveOut,
  Backspace: () => (typed ? void (typed = typed.slice(0, -1)) : back()),
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  Escape: () => void (typed = ""),
};

function pressed(key) {
  const chosen = choices().find(([each]) => each === key);
  if (chosen) return decide(chosen[1]);
  return lettered() ? undefined : type(key);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const does = KEYS[event.key] || ([...event.key].length === 1 && there(() => pressed(event.key)));
  if (!does) return;
  event.preventDefault();
  act(does);
});
for (const [name, does] of [
  ["keep", keep], ["leave-out", leaveOut], ["back", back],
  ["previous", () => move(-1)], ["next", () => move(1)],
]) at(`#${name}`).onclick = () => act(does);

async function begin() {
  ({ images, classes, file } = await (await fetch("review")).json());
  place = images.findIndex((image) => !image.decided);
  if (place < 0) place = images.length;
  sharp(at(".image img"));
  show();
}
begin();
