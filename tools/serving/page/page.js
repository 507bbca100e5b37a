// Sends each image by itself, so that an invalid one takes nothing from the others, and shows what
// the server says. All that comes from files or from the server goes in as text, but for the model card,
// which the server rendered from Markdown without HTML.
"use strict";

const SHOWN = 5; // classes; the others unfold
let megabytes = Infinity;

function bar([label, probability]) {
  const filled = made("i");
  filled.style.width = percent(probability).replace(" ", "");
  return made("div", { className: "class" }, [
    made("span", { className: "label", textContent: label }),
    made("span", { className: "probability", textContent: percent(probability) }),
    made("div", { className: "bar" }, [filled]),
  ]);
}

function classes(probabilities) {
  const bars = Object.entries(probabilities).sort((one, other) => other[1] - one[1]).map(bar);
  const rest = bars.splice(SHOWN);
  if (!rest.length) return bars;
  return [...bars, made("details", {}, [made("summary", { textContent: `${rest.length} more` }), ...rest])];
}

function neighbour({ label, similarity, path, image }) {
  return made("figure", { title: path }, [
    sharp(made("img", { src: image, alt: path })),
    made("figcaption", {}, [made("b", { textContent: label }), made("br"), `similarity ${similarity.toFixed(2)}`]),
  ]);
}

function show(card, answer) {
  const verdict = answer.unknown
    ? "Unknown: it looks like none of the classes."
    : answer.unsure ? "Unsure: no class is likely enough." : "";
  at(".verdict", card).textContent = verdict;
  at(".verdict", card).hidden = !verdict;
  sharp(at(".image img", card)).src = answer.image;
  at(".overlay", card).hidden = !answer.overlay;
  at(".overlay img", card).src = answer.overlay || "";
  at(".overlay img", card).alt = at(".overlay figcaption", card).textContent =
    `where it sees “${answer.label}”`;
  at(".classes", card).replaceChildren(...classes(answer.probabilities));
  at(".nearest", card).hidden = !answer.nearest.length;
  at(".nearest .row", card).replaceChildren(...answer.nearest.map(neighbour));
  at(".said", card).hidden = false;
}

async function ask(file) {
  if (file.size > megabytes * 1e6) throw new Error(`the file is larger than ${megabytes} MB`);
  const form = new FormData();
  form.append("file", file);
  let response;
  try {
    response = await fetch("look", { method: "POST", body: form });
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  const seconds = response.headers.get("Retry-After"); // too many images wait
  if (seconds) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    return ask(file);
  }
  const answer = await response.json().catch(() => ({ error: `the server failed (${response.status})` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function look(files) {
  const waiting = [...files].map((file) => {
    const card = at("#answer").content.firstElementChild.cloneNode(true);
    at("h2", card).textContent = file.name;
    return [file, card];
  });
  at("#answers").prepend(...waiting.map(([, card]) => card));
  return waiting.reduce(async (before, [file, card]) => {
    await before;
    try {
      show(card, await ask(file));
    } catch (error) {
      at(".error", card).textContent = error.message;
      at(".error", card).hidden = false;
    }
    at(".waiting", card).hidden = true;
  }, Promise.resolve());
}

function tab() {
  const chosen = location.hash === "#run" ? "run" : "images";
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== chosen;
  for (const link of document.querySelectorAll("header a"))
    link.setAttribute("aria-selected", link.hash === "#" + chosen);
  scrollTo(0, 0);
}

async function about() {
  const run = await (await fetch("run")).json();
  megabytes = run.megabytes;
  at("#model").textContent = `${run.model}: ${run.classes} classes, ${run.size} px`;
  at("#limits").textContent =
    `JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF; up to ${run.megabytes} MB and ${run.megapixels} megapixels`;
  at("#missing").replaceChildren(...run.missing.map((textContent) => made("li", { textContent })));
  at("#card").innerHTML = run.card;
  const figures = run.figures.map(({ title, caption, source }) =>
    made("figure", {}, [
      made("figcaption", { textContent: title }),
      made("p", { textContent: caption }),
      made("a", { href: source, target: "_blank" }, [made("img", { src: source, alt: title, loading: "lazy" })]),
    ]),
  );
  at("#figures").replaceChildren(...figures);
  const contents = [["Model card", at("#card")], ...figures.map((each, number) => [run.figures[number].title, each])];
  at("#contents").replaceChildren(
    ...contents.map(([textContent, element]) =>
      made("button", { textContent, onclick: () => element.scrollIntoView() }),
    ),
  );
}

addEventListener("hashchange", tab);
at("#files").addEventListener("change", (event) => {
  look(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  at("#drop").classList.add("over");
});
addEventListener("dragleave", () => at("#drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  at("#drop").classList.remove("over");
  look(event.dataTransfer.files);
});
addEventListener("paste", (event) => look(event.clipboardData.files));
tab();
about();
