"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { strings, columns, suites, verdicts, kinds, outcomes, symbols, trouble, tests } = data;
  const $ = (id) => document.getElementById(id);

  // The only way anything gets into the page: text nodes, never markup.
  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  };
  const mark = (verdict, wide) =>
    el("span", { class: `mark v-${verdict}`, title: verdict },
      el("span", { "aria-hidden": "true" }, symbols[verdict]),
      el("span", { class: wide ? "" : "word" }, ` ${verdict}`));

  const rank = new Map(verdicts.map((v) => [v, trouble.indexOf(v) < 0 ? 99 : trouble.indexOf(v)]));
  const ranks = verdicts.map((v) => rank.get(v));
  const severity = (test, column) => {
    const entries = column === null ? test[3] : [test[3][column]];
    let worst = 99;
    for (const entry of entries) if (entry && ranks[entry[0]] < worst) worst = ranks[entry[0]];
    return worst;
  };

  // ---- state: what the address holds ------------------------------------------------------
  const FIELDS = ["q", "suite", "column", "kind", "order"];
  const empty = () => ({ q: "", suite: "", column: "", kind: "", order: "", verdict: new Set(), test: "" });
  let state = empty();
  let shown = [];
  let active = 0;

  const toHash = () => {
    const params = new URLSearchParams();
    for (const field of FIELDS) if (state[field]) params.set(field, state[field]);
    if (state.verdict.size) params.set("verdict", [...state.verdict].join(","));
    if (state.test) params.set("test", state.test);
    return params.toString();
  };
  const fromHash = () => {
    const found = empty();
    const params = new URLSearchParams(location.hash.slice(1));
    for (const field of FIELDS) found[field] = params.get(field) || "";
    for (const verdict of (params.get("verdict") || "").split(",")) {
      if (verdicts.includes(verdict)) found.verdict.add(verdict);
    }
    found.test = params.get("test") || "";
    return found;
  };
  const saveHash = () => {
    const hash = toHash();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  };

  // ---- filter -----------------------------------------------------------------------------
  const lowered = { ids: null, strings: null };
  const searcher = (query) => {
    if (!query) return null;
    lowered.ids ||= tests.map((test) => test[1].toLowerCase());
    lowered.strings ||= strings.map((text) => text.toLowerCase());
    const words = query.toLowerCase();
    // Each distinct text is searched once, however many tests share it.
    const hits = new Set();
    lowered.strings.forEach((text, number) => { if (text.includes(words)) hits.add(number); });
    const inEntry = (entry) => entry && (hits.has(entry[1]) ||
      (entry[3] || []).some((attempt) => hits.has(attempt[2] || 0) || hits.has(attempt[3] || 0)));
    return (test, number, column) => lowered.ids[number].includes(words) ||
      (column === null ? test[3].some(inEntry) : inEntry(test[3][column]));
  };

  const filter = () => {
    const column = state.column === "" || !columns[state.column] ? null : Number(state.column);
    const suite = suites.findIndex((s) => s.suite === state.suite);
    const kind = kinds.indexOf(state.kind);
    const wanted = new Set([...state.verdict].map((v) => verdicts.indexOf(v)));
    const matches = searcher(state.q);
    const counts = new Array(verdicts.length).fill(0);
    shown = [];
    tests.forEach((test, number) => {
      if (suite >= 0 && test[0] !== suite) return;
      if (kind >= 0 && test[2] !== kind) return;
      const entries = (column === null ? test[3] : [test[3][column]]).filter(Boolean);
      if (!entries.length || (matches && !matches(test, number, column))) return;
      // The counts on the verdict buttons say what each would show beside the other filters.
      for (const verdict of new Set(entries.map((entry) => entry[0]))) counts[verdict] += 1;
      if (wanted.size && !entries.some((entry) => wanted.has(entry[0]))) return;
      shown.push(number);
    });
    if (state.order === "") {
      const keys = new Map(shown.map((number) => [number, severity(tests[number], column)]));
      shown.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
    }
    active = 0;
    controls(counts);
    $("shown").textContent = `${shown.length.toLocaleString("en")} of ${tests.length.toLocaleString("en")} tests`;
    $("grid").scrollTop = 0;
    $("table").setAttribute("aria-rowcount", shown.length + 1);
    draw(true);
  };

  // ---- controls ---------------------------------------------------------------------------
  const controls = (counts) => {
    for (const field of FIELDS) if ($(field).value !== state[field]) $(field).value = state[field];
    const focused = document.activeElement && document.activeElement.dataset.verdict;
    $("verdicts").replaceChildren(...verdicts.map((verdict, number) =>
      counts[number] || state.verdict.has(verdict)
        ? el("button", {
            type: "button", class: `mark v-${verdict}`, "data-verdict": verdict,
            "aria-pressed": String(state.verdict.has(verdict)),
            onclick: () => {
              if (!state.verdict.delete(verdict)) state.verdict.add(verdict);
              changed();
            },
          }, el("span", { "aria-hidden": "true" }, symbols[verdict]), ` ${verdict} ${counts[number].toLocaleString("en")}`)
        : null).filter(Boolean));
    if (focused) $("verdicts").querySelector(`[data-verdict="${focused}"]`)?.focus();
  };
  const changed = () => { saveHash(); filter(); };

  const options = (id, all, values) => $(id).replaceChildren(
    el("option", { value: "" }, all), ...values.map(([value, text]) => el("option", { value }, text)));
  options("suite", "all", suites.map((s) => [s.suite, s.title]));
  options("column", "any", columns.map((c, n) => [n, c.title]));
  options("kind", "all", kinds.map((k) => [k, k]));
  $("suite").parentElement.hidden = suites.length < 2;

  let typing = 0;
  $("q").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { state.q = $("q").value; changed(); }, tests.length > 20000 ? 200 : 60);
  });
  for (const field of FIELDS.slice(1)) {
    $(field).addEventListener("change", () => { state[field] = $(field).value; changed(); });
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", (event) => { event.preventDefault(); state = empty(); changed(); });

  // ---- table: only the rows in view exist --------------------------------------------------
  const grid = $("grid");
  const body = $("table").tBodies[0];
  const rowHeight = parseInt(getComputedStyle($("table")).getPropertyValue("--row"), 10) || 32;
  let drawn = [-1, -1];

  $("table").tHead.append(el("tr", { "aria-rowindex": 1 },
    el("th", { scope: "col" }, "Test"),
    el("th", { scope: "col", class: "kind" }, "Kind"),
    columns.map((c) => el("th", { scope: "col", class: "column", title: c.title },
      el("span", { class: "client" }, c.client), el("span", { class: "sub" }, c.topology + (c.control ? ", control" : ""))))));

  const absent = (test, column) => suites[test[0]].not_run[column]
    ? el("span", { class: "dim", title: suites[test[0]].not_run[column] }, "not run") : null;
  const row = (index) => {
    const test = tests[shown[index]];
    const name = test[1];
    // The test's own name first: when room is short, its path goes, not its name.
    const bracket = name.indexOf("[");
    const cut = name.lastIndexOf("::", bracket < 0 ? name.length : bracket);
    return el("tr", { "aria-rowindex": index + 2 },
      el("th", { scope: "row" }, el("button", {
        type: "button", title: name, tabindex: index === active ? 0 : -1, "data-index": index,
        onclick: () => { active = index; open(index); },
      }, cut < 0 ? name : name.slice(cut + 2), el("span", { class: "dim path" }, cut < 0 ? "" : ` ${name.slice(0, cut)}`))),
      el("td", { class: "kind" }, kinds[test[2]]),
      test[3].map((entry, n) => el("td", { class: "column" }, entry ? mark(verdicts[entry[0]]) : absent(test, n))));
  };
  const filler = (rows) => {
    if (rows <= 0) return [];
    const cell = el("td", { colspan: columns.length + 2 });
    cell.style.height = `${rows * rowHeight}px`;
    return [el("tr", { "aria-hidden": "true", class: "filler" }, cell)];
  };

  const draw = (force) => {
    const visible = Math.ceil(grid.clientHeight / rowHeight);
    const top = Math.floor(grid.scrollTop / rowHeight);
    const first = Math.max(0, Math.min(top, shown.length - visible) - 10);
    const last = Math.min(shown.length, top + visible + 10);
    if (!force && first === drawn[0] && last === drawn[1]) return;
    const hadFocus = body.contains(document.activeElement);
    drawn = [first, last];
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(row(index));
    if (!shown.length) rows.push(el("tr", {}, el("td", { class: "none", colspan: columns.length + 2 }, "No test fits these filters.")));
    body.replaceChildren(...filler(first), ...rows, ...filler(shown.length - last));
    if (hadFocus) focusActive();
  };
  const focusActive = () => body.querySelector(`[data-index="${active}"]`)?.focus({ preventScroll: true });
  const moveTo = (index) => {
    active = Math.max(0, Math.min(shown.length - 1, index));
    const top = active * rowHeight;
    const head = $("table").tHead.offsetHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    if (top + rowHeight + head > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + rowHeight + head - grid.clientHeight;
    draw(true);
  };
  grid.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)), { passive: true });
  addEventListener("resize", () => draw(true));
  grid.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(grid.clientHeight / rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    moveTo(active + steps[event.key]);
    focusActive();
  });

  // ---- one test ---------------------------------------------------------------------------
  const text = (number) => strings[number || 0];
  const seconds = (s) => (s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(1)} s`);
  const connectList = (title, connects) => connects && connects.length
    ? el("div", { class: "part bad-part" }, el("h4", {}, title), el("ul", {}, connects.map(
        ([address, module, file, line, reached]) => el("li", {},
          el("code", {}, text(address)), ` from ${text(module)} (${text(file)}:${line})`,
          reached ? ", a server of this cell" : ", outside this cell"))))
    : null;
  const nodeTable = (nodes) => nodes && nodes.length
    ? el("div", { class: "part" }, el("h4", {}, "Commands by node"), el("table", { class: "nodes" }, el("tbody", {},
        nodes.map(([node, ...calls]) => {
          const list = [];
          for (let i = 0; i < calls.length; i += 2) {
            list.push(el("code", {}, text(calls[i])), ` ${calls[i + 1]}  `);
          }
          return el("tr", {}, el("th", { scope: "row" }, text(node) || "all nodes"), el("td", {}, list));
        }))))
    : null;
  const attemptView = (attempt, number, total, passed) => {
    const [outcome, took, message, traceback, nodes, connects, reset] = attempt;
    return el("div", { class: "attempt" },
      el("p", {}, total > 1 ? `Attempt ${number + 1} of ${total}: ` : "", el("b", {}, outcomes[outcome]), ` in ${seconds(took || 0)}`),
      message ? el("pre", { tabindex: 0 }, text(message)) : null,
      traceback ? el("details", { open: !passed && number === total - 1 }, el("summary", {}, "Traceback"), el("pre", { tabindex: 0 }, text(traceback))) : null,
      nodeTable(nodes),
      connectList("Python-level connections", connects),
      reset ? el("p", { class: "dim" }, "This test reset the servers' statistics; counts are pieced together.") : null);
  };
  const columnView = (test) => (entry, number) => {
    const column = columns[number];
    const head = el("h3", {}, column.client, el("span", { class: "sub" }, ` ${column.topology}${column.control ? ", control" : ""}`));
    if (!entry) return el("section", { class: "absent" }, head, el("p", { class: "dim" }, suites[test[0]].not_run[number] || "not part of this column"));
    const [verdict, reason, touched, attempts = [], foreign = []] = entry;
    const passed = ["pass", "gain"].includes(verdicts[verdict]);
    return el("section", {}, head,
      el("p", {}, mark(verdicts[verdict], true), el("span", { class: "dim" }, touched ? " touched a server" : " touched no server")),
      reason ? el("p", { class: "reason" }, text(reason)) : null,
      connectList("Foreign connections", foreign),
      attempts.length ? attempts.map((attempt, n) => attemptView(attempt, n, attempts.length, passed)) : el("p", { class: "dim" }, "no record"));
  };
  const key = (test) => `${suites[test[0]].suite}/${test[1]}`;
  const open = (index) => {
    const test = tests[shown[index]];
    if (!test) return;
    state.test = key(test);
    saveHash();
    $("detail-title").textContent = test[1];
    $("detail-sub").textContent = `${suites[test[0]].title}, ${kinds[test[2]]}, ${index + 1} of ${shown.length.toLocaleString("en")}`;
    $("detail-body").replaceChildren(...test[3].map(columnView(test)));
    $("previous").disabled = index === 0;
    $("next").disabled = index === shown.length - 1;
    if (!$("detail").open) $("detail").showModal();
    $("detail").scrollTop = 0;
  };
  const step = (by) => { if (shown[active + by] !== undefined) { moveTo(active + by); open(active); } };
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  const closed = () => { if (state.test) { state.test = ""; saveHash(); focusActive(); } };
  const shut = () => { $("detail").close(); closed(); };
  $("close").addEventListener("click", shut);
  $("detail").addEventListener("click", (event) => { if (event.target === $("detail")) shut(); });
  $("detail").addEventListener("close", closed);

  // ---- start ------------------------------------------------------------------------------
  const load = (jump) => {
    if (location.hash.length > 1 && !location.hash.includes("=")) return;
    state = fromHash();
    const wanted = state.test;
    filter();
    if (jump && location.hash.length > 1) $("tests").scrollIntoView();
    if (!wanted) return;
    const index = shown.findIndex((number) => key(tests[number]) === wanted);
    if (index >= 0) { moveTo(index); open(index); }
  };
  $("explorer").hidden = false;
  addEventListener("hashchange", () => load(true));
  filter();
  load(true);
})();
