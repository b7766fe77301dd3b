"use strict";
// One threshold, or two with a person between them, over the grid that was computed beforehand.
(() => {
  const words = {
    escape_rate: "escape rate: defective parts accepted", overkill_rate: "overkill rate: good parts rejected",
    review_rate: "review rate: of all parts, mixed as they were judged, a person looks at",
    expected_cost: "cost of 1,000 parts, mixed as they were judged",
  };
  const text = (value) => {
    if (value === null) return "none";
    if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
    return Math.abs(value) >= 1 ? String(Number(value.toPrecision(3))) : value.toFixed(3);
  };
  const ends = (row) => (row.low === null ? "" : `${text(row.low)} to ${text(row.high)}`);
  const whole = (row) => (row.low === null ? text(row.mean) : `${text(row.mean)} (${ends(row)})`);

  function tile(value, what, between = "", ...further) {
    const tile = document.createElement("div");
    const part = (kind, said) => {
      const element = document.createElement(kind);
      element.textContent = said;
      return element;
    };
    tile.append(part("b", value), part("span", between), ...[what, ...further].map((line) => part("small", line)));
    return tile;
  }

  // What the pair of these two positions does, by metric; of one threshold, the pair is that one twice.
  function outcome(run, below, above) {
    const {points, pairs} = run.thresholds;
    const found = {escape_rate: points[below].escape_rate, overkill_rate: points[above].overkill_rate};
    for (const [metric, rows] of Object.entries(pairs)) {
      const [mean, low, high] = rows[below][above - below];
      found[metric] = {mean, low, high};
    }
    return below === above ? {...found, ...points[above]} : found;
  }

  // Review rate and cost at the share of defective parts that the page knows: the run's, which the grid was computed
  // for; one that was typed, which the rates of both classes give, but no interval; or that of the parts that were judged.
  function mixed(run, found) {
    const q = run.prevalence, at = q === null ? "" : ` at ${report.share(q)} defective`;
    if (q === null) return {review: found.review_rate, cost: found.expected_cost, at, typed: false};
    if (q === run.rules.prevalence) return {review: found.review_rate_at_prevalence, cost: found.cost_at_prevalence, at, typed: false};
    const [escape, overkill, defective, good] =
      ["escape_rate", "overkill_rate", "defective_review_rate", "good_review_rate"].map((metric) => found[metric].mean);
    const bare = (mean) => ({mean, low: null, high: null});
    if ([escape, overkill, defective, good].includes(null)) return {review: bare(null), cost: bare(null), at, typed: true};
    const review = q * defective + (1 - q) * good;
    const rules = run.rules;
    const cost = 1000 * (rules.cost_escape * q * escape + rules.cost_overkill * (1 - q) * overkill + (rules.cost_review ?? 0.25) * review);
    return {review: bare(review), cost: bare(cost), at, typed: true};
  }

  function readout(run, below, above, reviews) {
    const {points} = run.thresholds;
    const found = outcome(run, below, above);
    const {review, cost, at, typed} = mixed(run, found);
    const rate = (row, what, ...further) => tile(text(row.mean), what, ends(row), ...further);
    const note = typed ? "; no interval at a share that is typed here" : "";
    const tiles = [tile(String(points[above].threshold), reviews ? "rejected from this score" : "threshold")];
    if (reviews) tiles.push(tile(String(points[below].threshold), "accepted below this score"));
    tiles.push(rate(found.escape_rate, words.escape_rate), rate(found.overkill_rate, words.overkill_rate));
    if (reviews) {
      const classes = [["defective", found.defective_review_rate], ["good", found.good_review_rate]];
      tiles.push(rate(review, `${at ? `review rate: of all parts${at} a person looks at` : words.review_rate}${note}`,
        ...classes.map(([name, row]) => `of ${name} ones ${whole(row)}`)));
    }
    const what = `${at ? `cost of 1,000 parts${at}` : words.expected_cost}${reviews ? ", reviews included" : ""}${note}`;
    tiles.push(rate(cost, what));
    return tiles;
  }

  // All pairs, for a spreadsheet: two thousand rows, too many to stand in the page.
  function pairTable(run) {
    const {points, pairs} = run.thresholds;
    const metrics = ["escape_rate", "overkill_rate", ...Object.keys(pairs)];
    const lines = [["accepted_below", "rejected_from", ...metrics.flatMap((metric) => [metric, `${metric}_from`, `${metric}_to`])]];
    for (let below = 0; below < points.length; below += 1) {
      for (let above = below; above < points.length; above += 1) {
        const found = outcome(run, below, above);
        const cells = metrics.flatMap((metric) => ["mean", "low", "high"].map((name) => found[metric][name] ?? ""));
        lines.push([points[below].threshold, points[above].threshold, ...cells]);
      }
    }
    return lines;
  }

  for (const field of document.querySelectorAll("[data-slider]")) {
    const run = report.runs[Number(field.dataset.slider)];
    const points = run.thresholds.points;
    run.prevalence = run.rules.prevalence;
    const [high, low] = ["high", "low"].map((end) => field.querySelector(`[data-end="${end}"]`));
    const review = field.querySelector("[data-review]");
    const show = () => {
      low.disabled = !review.checked;
      if (!review.checked || Number(low.value) > Number(high.value)) low.value = high.value;
      const above = Number(high.value), below = Number(low.value);
      high.setAttribute("aria-valuetext", `score ${points[above].threshold}`);
      low.setAttribute("aria-valuetext", `score ${points[below].threshold}`);
      field.querySelector(".readout").replaceChildren(...readout(run, below, above, review.checked));
      for (const canvas of document.querySelectorAll(`[data-plot="scores"][data-run="${field.dataset.slider}"]`)) {
        canvas.marks = [...new Set([points[below].threshold, points[above].threshold])];
        if (canvas.redraw) canvas.redraw();
      }
    };
    for (const control of [high, low, review]) control.addEventListener("input", show);
    field.querySelector("[data-save-pairs]").addEventListener("click", () => report.save("threshold-pairs", pairTable(run)));
    document.addEventListener("prevalence", show);
    const least = (of) => points.reduce((best, point, index) => (of(point) < of(points[best]) ? index : best), 0);
    const nearest = (threshold) => String(least((point) => Math.abs(point.threshold - threshold)));
    if (run.thresholds.begin === null) {
      // Where escapes and overkills are as rare as can be at once.
      high.value = String(least((point) => (point.escape_rate.mean ?? 1) + (point.overkill_rate.mean ?? 1)));
      low.value = high.value;
    } else {
      review.checked = true;
      [low.value, high.value] = run.thresholds.begin.map(nearest);
    }
    field.show = show;
    show();
  }
})();
