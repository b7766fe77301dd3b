"use strict";
// The plots of a run, by the name that a canvas gives; each takes the run's data and a width, and returns an element.
const report = (() => {
  // The style sheet's, so that they follow light, dark and paper.
  const colour = (name) => `var(--${name})`;
  const share = (value) => `${(100 * value).toPrecision(3)} %`;

  function base(width, height, options) {
    return {
      width, height, marginLeft: 52, marginRight: 16, marginBottom: 40,
      style: {background: "transparent", color: "inherit", fontSize: "12px", fontFamily: "inherit"},
      ...options,
    };
  }

  function scores(run, width, marks = []) {
    const bins = run.thresholds.histogram;
    const classes = [["good", colour("good")], ["defective", colour("bad")]];
    const own = run.thresholds.by_fold.filter((value) => value !== null);
    return Plot.plot(base(width, 260, {
      x: {label: "score →", domain: [bins[0].low, bins[bins.length - 1].high], clamp: true},
      y: {label: "↑ share of the class", grid: true, percent: false, tickFormat: (v) => `${Math.round(100 * v)} %`},
      color: {domain: classes.map((c) => c[0]), range: classes.map((c) => c[1]), legend: true},
      marks: [
        ...classes.map(([name]) => Plot.rectY(bins, {
          x1: "low", x2: "high", y: name, fill: () => name, fillOpacity: 0.45, inset: 0.3,
        })),
        ...classes.map(([name]) => Plot.line(bins.flatMap((b) => [[b.low, b[name]], [b.high, b[name]]]), {
          stroke: () => name, strokeWidth: 1.6,
        })),
        Plot.ruleY([0]),
        Plot.ruleX(own, {x: (d) => d, stroke: "currentColor", strokeOpacity: 0.55, strokeDasharray: "2,3"}),
        ...marks,
      ],
    }));
  }

  function curve(kind, x, y) {
    return (run, width) => {
      const rows = run.curves.filter((row) => row.curve === kind && row.y !== null);
      const marks = [
        Plot.areaY(rows.filter((r) => r.low !== null), {x: "x", y1: "low", y2: "high", fill: colour("accent"), fillOpacity: 0.2}),
        Plot.lineY(rows, {x: "x", y: "y", stroke: colour("accent"), strokeWidth: 2}),
        Plot.tip(rows, Plot.pointerX({x: "x", y: "y", fill: colour("card"), title: (r) => `${x} ${share(r.x)}\n${y} ${share(r.y)}` +
          (r.low === null ? "" : ` (${share(r.low)} to ${share(r.high)})`)})),
      ];
      if (kind === "roc") marks.unshift(Plot.line([[0, 0], [1, 1]], {stroke: "currentColor", strokeOpacity: 0.4, strokeDasharray: "3,4"}));
      return Plot.plot(base(width, 300, {
        x: {label: `${x} →`, domain: [0, 1], grid: true}, y: {label: `↑ ${y}`, domain: [0, 1], grid: true}, marks,
      }));
    };
  }

  function recall(run, width) {
    const rows = run.parts.map((row) => ({...row, label: row.kind === "defect type" ? row.part : `${row.kind} ${row.part}`}));
    const left = Math.min(180, width / 3);
    // As many letters as fit, each about 7 pixels wide.
    const most = Math.floor((left - 12) / 7);
    const cut = (text) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
    const all = run.recall;
    return Plot.plot(base(width, 40 + 26 * rows.length + 30, {
      marginLeft: left, marginTop: 10,
      x: {label: "recall →", domain: [0, 1], grid: true}, y: {label: null, domain: rows.map((r) => r.label), tickFormat: cut},
      marks: [
        ...(all === null ? [] : [Plot.ruleX([all], {stroke: "currentColor", strokeDasharray: "2,4", strokeOpacity: 0.7})]),
        Plot.ruleY(rows.filter((r) => r.low !== null), {y: "label", x1: "low", x2: "high", stroke: colour("bad"), strokeWidth: 2, strokeOpacity: 0.6}),
        Plot.dot(rows, {x: "mean", y: "label", r: 5, fill: colour("bad")}),
        Plot.tip(rows, Plot.pointerY({fill: colour("card"), x: "mean", y: "label", title: (r) => `${r.label}: ${share(r.mean)}` +
          (r.low === null ? "" : ` (${share(r.low)} to ${share(r.high)})`)})),
      ],
    }));
  }

  function losses(run, width) {
    const rows = run.losses;
    const positive = rows.every((row) => row.loss > 0);
    return Plot.plot(base(width, 240, {
      x: {label: "epoch →"}, y: {label: positive ? "↑ loss (logarithmic)" : "↑ loss", type: positive ? "log" : "linear", grid: true, ticks: 5},
      marks: [
        Plot.line(rows, {x: "epoch", y: "loss", z: "fold", stroke: colour("accent"), strokeOpacity: 0.7}),
        Plot.tip(rows, Plot.pointer({fill: colour("card"), x: "epoch", y: "loss", title: (r) => `fold ${r.fold}, epoch ${r.epoch}: ${r.loss.toPrecision(4)}`})),
      ],
    }));
  }

  function learning(metrics) {
    const kinds = {escape_rate: ["escapes", "bad"], overkill_rate: ["overkill", "good"], review_rate: ["reviews", "open"], auroc: ["AUROC", "accent"]};
    const ranked = metrics.includes("auroc");
    const said = (value) => (ranked ? value.toPrecision(3) : share(value));
    return (run, width) => {
      const rows = run.learning_curve.rows.filter((row) => metrics.includes(row.metric) && row.mean !== null);
      const shown = metrics.filter((metric) => rows.some((row) => row.metric === metric));
      const own = rows.find((row) => row.run === run.name);
      const most = Math.max(...rows.map((row) => row.pictures));
      const late = own !== undefined && own.pictures > 0.7 * most;
      return Plot.plot(base(width, 300, {
        x: {label: "pictures that trained, mean over folds →", domain: [0, 1.06 * most], grid: true, ticks: Math.min(8, width / 70)},
        y: {label: ranked ? "↑ AUROC" : "↑ rate", grid: true, nice: true, zero: !ranked},
        color: {domain: shown.map((metric) => kinds[metric][0]), range: shown.map((metric) => colour(kinds[metric][1])), legend: true},
        marks: [
          ...(own === undefined ? [] : [
            Plot.ruleX([own.pictures], {stroke: "currentColor", strokeDasharray: "3,3", strokeOpacity: 0.6}),
            Plot.text([own.pictures], {x: (x) => x, frameAnchor: ranked ? "bottom" : "top", text: () => "this run", dx: late ? -9 : 9, dy: ranked ? -4 : 2, textAnchor: late ? "end" : "start", stroke: colour("card"), strokeWidth: 4, fill: "currentColor"}),
          ]),
          ...shown.flatMap((metric, place) => {
            const some = rows.filter((row) => row.metric === metric), stroke = () => kinds[metric][0];
            // Side by side, so that intervals of several figures at one place can be told apart.
            const dx = 5 * (place - (shown.length - 1) / 2);
            return [
              Plot.ruleX(some.filter((row) => row.low !== null), {x: "pictures", y1: "low", y2: "high", stroke, strokeWidth: 2, strokeOpacity: 0.55, dx}),
              Plot.lineY(some, {x: "pictures", y: "mean", stroke, strokeWidth: 2, dx}),
              Plot.dot(some, {x: "pictures", y: "mean", r: 4.5, fill: stroke, dx}),
            ];
          }),
          Plot.tip(rows, Plot.pointer({fill: colour("card"), x: "pictures", y: "mean", title: (r) =>
            `${kinds[r.metric][0]} ${said(r.mean)}${r.low === null ? "" : ` (${said(r.low)} to ${said(r.high)})`}\n` +
            `${share(r.fraction)} of the training parts, ${Math.round(r.pictures)} pictures\n${r.run}`})),
        ],
      }));
    };
  }

  function pod(run, width, marks, part) {
    const {points: rows, a90, a90_95: sure} = run.pod.rows[part];
    // One axis for all types, so that curves can be held against each other.
    const sizes = run.pod.rows.flatMap((row) => row.points.map((point) => point.size));
    const named = [[a90, "a90", 0.16], [sure, "a90/95", 0.06]].filter(([size]) => size !== null);
    const domain = [Math.min(...sizes), Math.max(...sizes)];
    const late = (size) => Math.log(size / domain[0]) > 0.7 * Math.log(domain[1] / domain[0]);
    const label = (chosen, dx, textAnchor) => Plot.text(named.filter(([size]) => late(size) === chosen), {
      x: (d) => d[0], y: (d) => d[2], text: (d) => `${d[1]} ${Number(d[0].toPrecision(3))}`, dx, textAnchor, fontWeight: 600,
      stroke: colour("card"), strokeWidth: 4, fill: "currentColor",
    });
    return Plot.plot(base(width, 280, {
      x: {label: run.pod.unit ? `size (${run.pod.unit}) →` : "size →", type: "log", domain, ticks: Math.min(6, width / 80), tickFormat: "~g"},
      y: {label: "↑ probability of detection", domain: [0, 1], grid: true},
      marks: [
        Plot.areaY(rows, {x: "size", y1: "low", y2: "high", fill: colour("bad"), fillOpacity: 0.2}),
        Plot.lineY(rows, {x: "size", y: "probability", stroke: colour("bad"), strokeWidth: 2}),
        Plot.ruleX(named, {x: (d) => d[0], stroke: "currentColor", strokeDasharray: "3,3", strokeOpacity: 0.7}),
        label(false, 5, "start"), label(true, -5, "end"),
        Plot.tip(rows, Plot.pointerX({fill: colour("card"), x: "size", y: "probability", title: (r) => `${r.size.toPrecision(3)} ${run.pod.unit}: ${share(r.probability)} (${share(r.low)} to ${share(r.high)})`})),
      ],
    }));
  }

  const draw = {scores, roc: curve("roc", "false-alarm rate", "recall"), "precision-recall": curve("precision-recall", "recall", "precision"), recall, losses, pod,
    "learning-errors": learning(["escape_rate", "overkill_rate", "review_rate"]), "learning-auroc": learning(["auroc"])};

  // Rows of cells as a file of CSV, which the browser saves.
  function save(name, rows) {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    // A spreadsheet would run what begins like a formula.
    const plain = (text) => (/^[=+@\t]|^-(?![\d.])/.test(text) ? `'${text}` : text);
    const lines = rows.map((row) => row.map((cell) => quoted(plain(String(cell)))).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], {type: "text/csv"}));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  const runs = JSON.parse(document.getElementById("data").textContent);
  return {runs, draw, colour, share, save};
})();
