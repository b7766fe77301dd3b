"use strict";
// Draws plots when they come into sight, sorts and saves tables, filters cards, follows the share of defective parts.
(() => {
  for (const canvas of document.querySelectorAll("[data-plot]")) {
    const run = report.runs[Number(canvas.dataset.run)];
    const redraw = () => {
      const width = Math.max(260, canvas.clientWidth || 640);
      const marks = (canvas.marks ?? []).map((x) => Plot.ruleX([x], {stroke: "currentColor", strokeWidth: 2}));
      canvas.replaceChildren(report.draw[canvas.dataset.plot](run, width, marks, Number(canvas.dataset.part)));
      // What is drawn is one picture with one name, that of the canvas.
      for (const part of canvas.querySelectorAll("svg [aria-label]")) part.removeAttribute("aria-label");
      canvas.redraw = redraw;
    };
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { seen.disconnect(); redraw(); }
    }, {rootMargin: "600px"});
    seen.observe(canvas);
    canvas.first = redraw;
  }
  const all = () => document.querySelectorAll("[data-plot]");
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const canvas of all()) if (canvas.redraw) canvas.redraw();
  });
  addEventListener("beforeprint", () => { for (const canvas of all()) canvas.first(); });

  const collator = new Intl.Collator("en", {numeric: true});
  for (const table of document.querySelectorAll("table")) {
    const rows = () => [...table.tBodies[0].rows];
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => {
        const falling = cell.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const value = (row) => row.cells[column].textContent;
        const number = (text) => (text.trim() === "" ? NaN : Number(text.replaceAll(",", "").split(" ")[0]));
        const order = (a, b) => {
          const [x, y] = [number(value(a)), number(value(b))];
          return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(value(a), value(b)) : x - y;
        };
        table.tBodies[0].append(...rows().sort((a, b) => (falling ? -1 : 1) * order(a, b)));
      });
      cell.replaceChildren(button);
    });
    const save = document.createElement("button");
    save.type = "button";
    save.className = "save";
    save.textContent = "Save as CSV";
    save.addEventListener("click", () => {
      report.save(table.dataset.file, [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
    });
    table.closest(".scroll").after(save);
  }

  for (const section of document.querySelectorAll("[data-cards]")) {
    const list = section.querySelector(".grid");
    if (!list) continue;
    const cards = [...list.children];
    const [kind, words] = ["kind", "text"].map((name) => section.querySelector(`[data-filter="${name}"]`));
    const sort = section.querySelector("[data-sort]");
    const arrange = () => {
      const wanted = words.value.trim().toLowerCase();
      for (const card of cards) {
        card.hidden = (kind.value && card.dataset.kind !== kind.value) || !card.dataset.name.toLowerCase().includes(wanted);
      }
      const by = sort.value;
      const order = by === "name" ? (a, b) => collator.compare(a.dataset.name, b.dataset.name) : (a, b) => b.dataset[by] - a.dataset[by];
      list.append(...cards.sort(order));
      section.querySelector("output").textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} parts`;
    };
    for (const control of [kind, words, sort]) control.addEventListener("input", arrange);
    for (const box of section.querySelectorAll("[data-layer]")) {
      box.addEventListener("input", () => list.classList.toggle(`no-${box.dataset.layer}`, !box.checked));
    }
    arrange();
  }

  const count = (value) => (value >= 10 ? String(Math.round(value)) : value.toFixed(1));
  for (const input of document.querySelectorAll("[data-prevalence]")) {
    const number = input.dataset.prevalence;
    const run = report.runs[Number(number)];
    const rates = document.querySelector(`[data-rates="${number}"]`).dataset;
    const outcome = document.querySelector(`.outcome[data-run="${number}"]`);
    const usual = outcome.textContent;
    const counted = (ends, parts) => {
      const [mean, low, high] = ends.split("|").map((end) => (end === "None" ? null : parts * Number(end)));
      return low === null ? count(mean) : `${count(mean)} (${count(low)} to ${count(high)})`;
    };
    input.addEventListener("input", () => {
      const percent = Number(input.value);
      const known = input.value !== "" && percent > 0 && percent < 100;
      run.prevalence = known ? percent / 100 : run.rules.prevalence;
      outcome.textContent = known
        ? `Of 1,000 parts at ${Number(percent.toPrecision(3))} % defective: ${counted(rates.escape, 10 * percent)} escapes, ${counted(rates.overkill, 10 * (100 - percent))} good parts rejected.`
        : usual;
      document.dispatchEvent(new Event("prevalence"));
    });
  }
})();
