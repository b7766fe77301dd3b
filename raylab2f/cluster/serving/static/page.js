"use strict";

const find = (id) => document.getElementById(id);
const WORDS = { accept: "Accepted", review: "For a person to look at", reject: "Rejected" };
let shown = null;
let asked = 0;

function say(status, error, heard = false) {
  find("status").textContent = status;
  find("status").classList.toggle("heard", heard);
  find("error").textContent = error;
}

function headers() {
  const token = find("token").value.trim();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: headers() });
  const answer = await response.json();
  if (response.ok) return answer;
  if (response.status === 401) find("token-line").hidden = false;
  throw new Error(answer.error ?? `The server answered ${response.status}.`);
}

async function fillModels() {
  try {
    const { models } = await ask("/v1/models");
    find("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
    say("", "");
  } catch (error) {
    say("", find("token").value ? error.message : "");
  }
}

async function judge(file) {
  const number = ++asked;
  say(`Judging ${file.name} ...`, "");
  const form = new FormData();
  form.append("picture", file, file.name);
  const query = new URLSearchParams({ map: "overlay", model: find("model").value });
  try {
    const answer = await ask(`/v1/judge?${query}`, { method: "POST", body: form });
    if (number === asked) show(answer, file);
  } catch (error) {
    if (number !== asked) return;
    find("result").hidden = true;
    say("", error instanceof TypeError ? "The server cannot be reached." : error.message);
  }
}

function show(answer, file) {
  if (shown) URL.revokeObjectURL(shown.plain);
  const map = answer.views[0].map;
  shown = { map: `data:image/png;base64,${map.png}`, plain: URL.createObjectURL(file), name: file.name, regions: map.regions };
  const side = answer.margin >= 0 ? "at or above" : "below";
  const score = answer.score.toPrecision(4), threshold = answer.threshold.toPrecision(4);
  find("result").className = answer.verdict;
  find("verdict").textContent = WORDS[answer.verdict];
  find("sentence").textContent = `Score ${score} is ${side} the threshold ${threshold}.`;
  // The threshold stands in the middle.
  const reach = 2 * Math.max(Math.abs(answer.margin), Math.abs(answer.threshold), 1e-9);
  find("bar").style.width = `${Math.min(100, Math.max(0, 50 + (100 * answer.margin) / reach))}%`;
  find("reasons").replaceChildren(
    ...answer.unfamiliar.map((reason) => {
      const item = document.createElement("li");
      item.textContent = `Unlike the pictures that the model was evaluated on: ${reason}`;
      return item;
    }),
  );
  find("about").textContent =
    `Model ${answer.model.name}, ${answer.model.digest.slice(0, 12)}; ${answer.milliseconds} milliseconds.`;
  find("result").hidden = false;
  showPicture();
  // What is to be seen already.
  say(`${WORDS[answer.verdict]}. ${find("sentence").textContent}`, "", true);
}

function showPicture() {
  if (!shown) return;
  const laid = find("map").checked;
  const count = shown.regions.length;
  const regions = count === 1 ? "1 region is marked" : `${count || "no"} regions are marked`;
  find("picture").src = laid ? shown.map : shown.plain;
  find("picture").alt = laid ? `${shown.name}, with the anomaly map laid over it: ${regions}` : shown.name;
  find("caption").textContent = laid ? `${shown.name}: ${regions}.` : shown.name;
}

find("form").addEventListener("submit", (event) => event.preventDefault());
find("file").addEventListener("change", (event) => {
  if (event.target.files.length) judge(event.target.files[0]);
});
find("map").addEventListener("change", showPicture);
find("token").addEventListener("change", fillModels);
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) judge(event.dataTransfer.files[0]);
  });
}
fillModels();
