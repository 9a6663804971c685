
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const { fields, series, output, example } = model;
// Served under any path: with or without a slash at its end, what is asked is below it.
const base = location.pathname.replace(/\/?$/, "/");
const MANY = 200; // values of a category beyond which one is typed, not chosen
const STEPS = 100; // steps of a forecast that are asked for at once, for the chart

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes; text and elements go inside. */
function make(tag, attributes = {}, ...inside) {
  const svg = ["svg", "rect", "line", "polyline", "circle", "title"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...inside.filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** A name that may be broken where people would break it. */
const breakable = (name) => name.split(/(?<=[_. -])/).flatMap((one) => [one, make("wbr")]).slice(0, -1);

const formatted = (value) => Number(value).toLocaleString("en", { maximumSignificantDigits: 5 });
const percent = (value) => (value * 100).toLocaleString("en", { maximumSignificantDigits: 3 }) + " %";
const signed = (text) => (/^-?0$/.test(text) ? "0" : text.startsWith("-") ? "−" + text.slice(1) : "+" + text);

// ------------------------------------------------------------------------------------------------ the form

/** What a row has, whatever the task: one kind of description for ordinary fields and for a series. */
function parts() {
  if (!series) return fields;
  return [
    { name: "key", kind: "category", values: series.keys, unknown: "other", missing: "refuse", hint: "the series" },
    { name: "at", kind: "datetime", missing: "refuse", hint: "time of the last value" },
    { name: "step", kind: "integer", minimum: 1, maximum: series.horizon, missing: "refuse", hint: series.every + "s ahead" },
    { name: "history", kind: "history", missing: "refuse", hint: `the last ${series.window} values, one a ${series.every}, oldest first` },
  ];
}

const controls = new Map(parts().map((part, position) => [part.name, control(part, position)]));

/** One field of the form: how it looks, and how its value is read and written. */
function control(part, position) {
  const id = "field-" + position;
  const input = inputOf(part, id);
  const other = part.kind === "category" && input.tagName === "SELECT" && part.unknown === "other"
    ? make("input", { type: "text", hidden: true, "aria-label": `Another value of ${part.name}` }) : null;
  const missing = part.missing === "allow" ? make("input", { type: "checkbox", id: id + "-missing" }) : null;
  const wrong = make("p", { class: "wrong", id: id + "-wrong" });
  const hint = make("p", { class: "hint", id: id + "-hint" }, hintOf(part));
  input.setAttribute("aria-describedby", `${id}-wrong ${id}-hint`);
  if (part.missing !== "allow" && part.kind !== "boolean") input.setAttribute("aria-required", "true");
  const unit = part.unit ? make("span", { class: "unit" }, " in " + part.unit) : null;
  const element = make("div", { class: part.kind === "text" || part.kind === "history" ? "field wide" : "field" },
    make("div", { class: "top" },
      make("label", { for: id }, ...breakable(part.name), unit),
      missing && make("label", { class: "missing", for: id + "-missing" }, missing, "missing",
        make("span", { class: "hidden" }, ": " + part.name))),
    part.kind === "boolean" ? make("div", { class: "check" }, input, make("span", { "aria-hidden": "true" })) : input,
    other, wrong, hint);
  if (part.kind === "category" && input.tagName === "INPUT") element.append(listOf(part, id));

  const show = () => {
    input.disabled = Boolean(missing && missing.checked);
    if (other) other.hidden = input.value !== "other" || input.selectedIndex !== input.options.length - 1 || input.disabled;
    if (part.kind === "boolean") input.nextSibling.textContent = input.checked ? "yes" : "no";
  };
  const set = (value) => {
    if (missing) missing.checked = value === null || value === undefined;
    if (part.kind === "boolean") input.checked = value === true;
    else if (part.kind === "history") input.value = (value || []).map((one) => Number(Number(one).toPrecision(6))).join(", ");
    else if (part.kind === "datetime") input.value = localTime(value);
    else if (other && value !== null && value !== undefined && !part.values.includes(value)) {
      input.selectedIndex = input.options.length - 1;
      other.value = value;
    } else input.value = part.kind === "number" && typeof value === "number" ? Number(value.toPrecision(6)) : value ?? "";
    show();
  };
  const get = () => {
    if (missing && missing.checked) return null;
    if (part.kind === "boolean") return input.checked;
    if (other && !other.hidden) return other.value;
    if (part.kind === "number" || part.kind === "integer") return input.value === "" ? null : Number(input.value);
    if (part.kind === "datetime") return input.value === "" ? null : input.value;
    if (part.kind === "history") return input.value.split(/[\s,;]+/).filter(Boolean).map((one) => (isNaN(one) ? one : Number(one)));
    return input.value;
  };
  const complain = (text) => {
    wrong.textContent = text;
    for (const one of [input, other]) if (one) one.toggleAttribute("aria-invalid", false);
    if (text) (other && !other.hidden ? other : input).setAttribute("aria-invalid", "true");
  };
  element.addEventListener("input", () => { show(); complain(""); });
  return { part, input, element, set, get, complain };
}

function inputOf(part, id) {
  switch (part.kind) {
    case "boolean": return make("input", { id, type: "checkbox" });
    case "number": case "integer":
      return make("input", { id, type: "number", min: part.minimum, max: part.maximum,
        step: part.kind === "integer" ? 1 : "any", inputmode: part.kind === "integer" ? "numeric" : "decimal" });
    case "datetime": return make("input", { id, type: "datetime-local", step: 1 });
    case "text": return make("textarea", { id, maxlength: part.max_length, rows: 4 });
    case "history": return make("textarea", { id, rows: 4, spellcheck: "false", inputmode: "decimal" });
  }
  if (part.values.length > MANY) return make("input", { id, type: "text", list: id + "-list", autocomplete: "off" });
  const options = part.values.map((value) => make("option", { value }, value));
  if (part.unknown === "other") options.push(make("option", { value: "other" }, "another value …"));
  return make("select", { id }, ...options);
}

function listOf(part, id) {
  return make("datalist", { id: id + "-list" }, ...part.values.map((value) => make("option", { value })));
}

function hintOf(part) {
  const { minimum: low, maximum: high } = part;
  const has = (bound) => bound !== null && bound !== undefined;
  const range = has(low) && has(high) ? `${formatted(low)} to ${formatted(high)}`
    : has(low) ? `${formatted(low)} or more` : has(high) ? `${formatted(high)} or less` : "";
  return [part.hint, part.kind === "integer" ? ["whole number", range].filter(Boolean).join(", ") : range].filter(Boolean).join("; ");
}

const localTime = (value) => (value ? (value.includes("T") ? value.slice(0, 19) : value + "T00:00:00") : "");

function fill(row) {
  for (const [name, one] of controls) {
    one.set(row[name]);
    one.complain("");
  }
}

const rowOf = () => Object.fromEntries([...controls].map(([name, one]) => [name, one.get()]));

// ------------------------------------------------------------------------------------------------ asking

/** The answer of a path, as {status, body, id}; status 0 where there is none. */
async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const credential = $("credential").value.trim();
  if (credential) headers.Authorization = "Bearer " + credential;
  try {
    const response = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await response.json().catch(() => ({ error: `no answer in JSON, but status ${response.status}` }));
    return { status: response.status, body: said, id: response.headers.get("x-request-id") };
  } catch (cause) {
    return { status: 0, body: { error: "the server cannot be reached: " + cause.message }, id: null };
  }
}

async function predict() {
  const row = rowOf();
  const rows = series && Number.isInteger(row.step) && series.horizon <= STEPS && row.step >= 1 && row.step <= series.horizon
    ? Array.from({ length: series.horizon }, (_, step) => ({ ...row, step: step + 1 })) : [row];
  const number = rows.length > 1 ? row.step - 1 : 0;
  const answer = await asked("predict", { rows });
  if (answer.status !== 200) return;
  const prediction = answer.body.predictions[number];
  const chart = rows.length > 1 ? forecastChart(row, answer.body.predictions.map((one) => one.value)) : null;
  $("result").replaceChildren(...inWords(prediction), ...(chart || []));
  if (model.feedback) $("feedback").replaceChildren(...feedbackForm(answer.id, number));
}

async function explain() {
  const row = rowOf();
  const answer = await asked("explain", { rows: [row] });
  if (answer.status !== 200) return;
  const explanation = answer.body.explanations[0];
  $("result").replaceChildren(...inWords(explanation.prediction), ...contributions(row, answer.body, explanation));
  $("feedback").replaceChildren();
}

/** Ask, and show what goes wrong; what goes well is shown by the caller. */
async function asked(path, body) {
  for (const one of controls.values()) one.complain("");
  const buttons = [$("predict"), $("explain")];
  buttons.forEach((one) => { one.disabled = true; });
  $("answer").setAttribute("aria-busy", "true");
  const answer = await ask(path, body);
  buttons.forEach((one) => { one.disabled = false; });
  $("answer").removeAttribute("aria-busy");
  $("status").replaceChildren();
  $("curl").textContent = curlOf(path, body);
  $("raw").textContent = JSON.stringify(answer.body, null, 2);
  $("requests").hidden = false;
  history.replaceState(null, "", "#" + new URLSearchParams({ row: JSON.stringify(rowOf()), ask: path }));
  if (answer.status !== 200) complain(answer);
  else bringIntoView();
  return answer;
}

/** On a narrow screen the answer is below the form. */
function bringIntoView() {
  requestAnimationFrame(() => {
    if ($("answer").getBoundingClientRect().top > innerHeight * 0.7) $("answer").scrollIntoView({ block: "start" });
  });
}

function complain(answer) {
  $("result").replaceChildren();
  $("feedback").replaceChildren();
  const left = [];
  let first = null;
  for (const error of answer.body.errors || []) {
    const one = controls.get(error.field);
    if (!one) left.push(error);
    else if (!one.element.querySelector(".wrong").textContent) {
      one.complain(error.rule);
      first = first || one;
    }
  }
  const list = left.map((error) => make("li", {}, `${error.field} ${error.value}: ${error.rule}`));
  $("status").replaceChildren(make("div", { class: "problem" },
    make("strong", {}, first ? "The row cannot be answered yet. " : "No answer. "),
    first ? "See the fields marked in the form." : answer.body.error || `Status ${answer.status}.`,
    list.length ? make("ul", {}, ...list) : null));
  if (first) first.input.focus();
}

function curlOf(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const key = model.secured ? " \\\n  -H 'Authorization: Bearer …'" : "";
  return `curl -s ${location.origin}${base}${path} \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '${quoted}'`;
}

// ------------------------------------------------------------------------------------------------ the answer

function inWords(prediction) {
  if (output.task === "classification") return classInWords(prediction);
  const unit = output.unit ? " " + output.unit : "";
  if (output.task === "clustering") {
    const best = Math.max(...prediction.scores), worst = Math.min(...prediction.scores);
    const share = (score) => (best === worst ? 1 : (score - worst) / (best - worst));
    const rows = prediction.scores.map((score, number) => [`Cluster ${number}`, share(score), formatted(score), number === prediction.cluster]);
    return [...heading(output.target || "This row belongs to", `Cluster ${prediction.cluster}`), barTable("Closeness to each cluster", "Cluster", rows)];
  }
  return heading(output.target || "Value", formatted(prediction.value) + unit);
}

function classInWords(prediction) {
  const two = output.classes.length === 2;
  const rule = two ? `; ${output.positive} is called at ${percent(output.threshold)} or above` : "";
  const named = two ? output.positive : prediction.label;
  const rows = Object.entries(prediction.probabilities)
    .sort((one, other) => other[1] - one[1]).slice(0, 12)
    .map(([name, share]) => [name, share, percent(share), name === prediction.label,
      two && name === output.positive ? output.threshold : null]);
  return [...heading(output.target || "Class", prediction.label),
    make("p", {}, `Probability of ${named}: ${percent(prediction.probability)}${rule}.`),
    barTable("Probabilities", "Class", rows)];
}

function heading(target, called) {
  return [make("h2", { class: "soft" }, target), make("p", { class: "called" }, called)];
}

/** A table whose rows are [name, share of the whole bar, text, chosen, place of a mark]. */
function barTable(caption, first, rows) {
  return make("table", {}, make("caption", { class: "hidden" }, caption),
    make("thead", { class: "hidden" }, make("tr", {}, make("th", {}, first), make("th", {}, "Bar"), make("th", {}, caption))),
    make("tbody", {}, ...rows.map(([name, share, text, chosen, mark]) => make("tr", {},
      make("th", { class: "name", scope: "row" }, chosen ? make("strong", {}, name) : name),
      make("td", { class: "bar" }, shareBar(share, chosen, mark)),
      make("td", { class: "number" }, text)))));
}

function shareBar(share, chosen, mark) {
  return make("svg", { viewBox: "0 0 100 14", height: 14, preserveAspectRatio: "none", "aria-hidden": "true" },
    make("rect", { class: "track", width: 100, height: 14, rx: 1 }),
    make("rect", { class: chosen ? "chosen" : "share", width: Math.max(0, Math.min(1, share)) * 100, height: 14, rx: 1, opacity: chosen ? 1 : 0.55 }),
    mark ? make("line", { class: "mark", x1: mark * 100, x2: mark * 100, y1: 0, y2: 14 }, make("title", {}, `threshold ${percent(mark)}`)) : null);
}

const SHOWN = 12;
const NOTHING = 0.0001; // a contribution this small beside the largest is rounding

/** What each field adds, largest first, as bars to both sides of an axis. */
function contributions(row, answer, explanation) {
  const share = explanation.explains.startsWith("probability");
  const amount = (value) => (share ? (value * 100).toLocaleString("en", { maximumFractionDigits: 2 })
    : Number(value).toLocaleString("en", { maximumSignificantDigits: 3 }));
  const told = (value) => (share ? percent(value) : formatted(value) + (output.unit ? " " + output.unit : ""));
  const all = Object.entries(explanation.contributions).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]));
  const least = Math.abs(all[0][1]) * NOTHING;
  const some = all.filter((one) => Math.abs(one[1]) > least);
  const shown = some.length > SHOWN + 1 ? some.slice(0, SHOWN) : some;
  const rest = some.slice(shown.length);
  const rows = shown.map(([name, value]) => [name, value, `${said(row[name])}, typical ${said(answer.reference[name])}`]);
  if (rest.length) rows.push([`${rest.length} other fields`, rest.reduce((sum, one) => sum + one[1], 0), ""]);
  const none = all.filter((one) => Math.abs(one[1]) <= least).map((one) => one[0]);
  const widest = Math.max(...rows.map((one) => Math.abs(one[1])), Number.MIN_VALUE);
  const unit = share ? "percentage points" : output.unit || "";
  const error = explanation.standard_error;
  return [make("h3", {}, "What each field adds"),
    make("p", {}, `A typical row: ${told(explanation.base)}. This row: ${told(explanation.answer)}. `
      + `The fields below add up to the difference of ${signed(amount(explanation.answer - explanation.base))}${unit ? " " + unit : ""}.`),
    make("p", { class: "legend", "aria-hidden": "true" },
      make("span", { class: "up" }, `raises the ${explanation.explains}`), make("span", { class: "down" }, "lowers it")),
    make("table", { class: "wide" }, make("caption", { class: "hidden" }, `Contributions to the ${explanation.explains}`),
      make("thead", { class: "hidden" }, make("tr", {}, make("th", { scope: "col" }, "Field and value"), make("th", { scope: "col" }, "Bar"), make("th", { scope: "col" }, "Contribution"))),
      make("tbody", {}, ...rows.map(([name, value, note]) => make("tr", {},
        make("th", { class: "name", scope: "row" }, ...breakable(name), note ? make("span", { class: "value" }, note) : null),
        make("td", { class: "bar" }, signedBar(value / widest)),
        make("td", { class: "number" }, signed(amount(value))))))),
    none.length ? make("p", { class: "hint" }, `No difference from a typical row, or none that matters: ${none.join(", ")}.`) : "",
    error ? make("p", { class: "hint" }, `Averages over ${answer.orders} orders of the fields; uncertain by about ±${amount(2 * error)}.`) : ""];
}

function signedBar(share) {
  const width = Math.abs(share) * 50;
  return make("svg", { viewBox: "0 0 100 14", height: 14, preserveAspectRatio: "none", "aria-hidden": "true" },
    make("rect", { class: "track", width: 100, height: 14 }),
    make("rect", { class: share < 0 ? "down" : "up", x: share < 0 ? 50 - width : 50, width, height: 14 }),
    make("line", { class: "axis", x1: 50, x2: 50, y1: 0, y2: 14 }));
}

/** A value as people read it. */
function said(value) {
  if (value === null || value === undefined) return "missing";
  if (typeof value === "number") return formatted(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return `mean ${formatted(value.reduce((sum, one) => sum + one, 0) / value.length)}`;
  const text = value.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*$/, "$1 $2");
  return text === "" ? "empty" : text.length > 40 ? text.slice(0, 40) + " …" : text;
}

/** The history and every step ahead, as lines; the step asked for has a dot. */
function forecastChart(row, values) {
  const past = row.history.slice(-3 * values.length - 14);
  const all = [...past, ...values];
  const low = Math.min(0, ...all), high = Math.max(...all), height = 120;
  const x = (position) => (position / (all.length - 1)) * 600;
  const y = (value) => height - 6 - ((value - low) / (high - low || 1)) * (height - 12);
  const points = (from, part) => part.map((value, position) => `${x(from + position).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const place = past.length + row.step - 1;
  return [make("h3", {}, `The next ${values.length} ${series.every}s`),
    make("svg", { viewBox: `0 0 600 ${height}`, role: "img",
      "aria-label": `Forecasts for steps 1 to ${values.length}: ${values.map(formatted).join(", ")}` },
      make("line", { class: "axis", x1: 0, x2: 600, y1: y(0), y2: y(0) }),
      make("polyline", { class: "line", points: points(0, past) }),
      make("polyline", { class: "ahead", points: points(past.length - 1, [past.at(-1), ...values]) }),
      make("circle", { class: "chosen", cx: x(place), cy: y(values[row.step - 1]), r: 5 })),
    make("p", { class: "legend", "aria-hidden": "true" }, make("span", {}, `last ${past.length} values`),
      make("span", { class: "ahead" }, `forecast; the dot is step ${row.step}`))];
}

// ------------------------------------------------------------------------------------------------ feedback

function feedbackForm(id, row) {
  const choices = output.task === "classification" ? output.classes
    : output.task === "clustering" ? Array.from({ length: output.clusters }, (_, number) => number) : null;
  const input = choices
    ? make("select", { id: "truth" }, ...choices.map((one) => make("option", { value: one }, one)))
    : make("input", { id: "truth", type: "number", step: "any" });
  const send = make("button", { type: "button", class: "second" }, "Send");
  const said = make("p", { class: "hint", role: "status" }, "Kept beside the prediction; the last that is sent counts.");
  send.addEventListener("click", async () => {
    const label = output.task === "classification" ? input.value : input.value === "" ? null : Number(input.value);
    const answer = await ask("feedback", { id, row, label });
    const errors = (answer.body.errors || []).map((error) => `${error.field} ${error.rule}`).join("; ");
    said.textContent = answer.status === 202 ? "Thank you: kept." : errors || answer.body.error;
    said.className = answer.status === 202 ? "hint" : "wrong";
  });
  return [make("h3", {}, make("label", { for: "truth" }, "What turned out to be true?")), make("div", { class: "told" }, input, send), said];
}

// ------------------------------------------------------------------------------------------------ begin

function introduce() {
  const told = {
    classification: `Predicts ${output.target || "the class"}: ${output.classes.slice(0, 8).join(", ")}${output.classes.length > 8 ? " …" : ""}.`,
    clustering: `Says which of ${output.clusters} clusters a row belongs to.`,
    forecast: series ? `Forecasts ${output.target || "a series"} up to ${series.horizon} ${series.every}s ahead.` : "",
    regression: `Predicts ${output.target || "a value"}${output.unit ? " in " + output.unit : ""}.`,
  };
  $("name").textContent = model.name;
  $("purpose").textContent = told[output.task];
  const facts = [["Version", model.version], ["Format", model.format]];
  $("facts").append(...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  if (model.document) {
    $("facts").append(make("div", {}, make("dt", {}, "API"), make("dd", {}, make("a", { href: base + "openapi.json" }, "openapi.json"))));
  }
  $("fields").append(...[...controls.values()].map((one) => one.element));
  $("access").hidden = !model.secured;
  $("explain").hidden = !model.explain;
}

/** A link to this page can carry a row and what to ask: #row={…}&ask=predict */
function followLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  let row = {};
  try { row = JSON.parse(link.get("row") || "{}"); } catch { /* not a row: the example stays */ }
  fill({ ...example, ...row });
  if (link.get("ask") === "predict") predict();
  if (link.get("ask") === "explain" && model.explain) explain();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); predict(); });
$("explain").addEventListener("click", explain);
$("reset").addEventListener("click", () => fill(example));
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("curl").textContent);
  $("copy").textContent = "Copied";
});
introduce();
followLink();
