/** The script of all pages: reading the chart, refreshing without a reload, and copying. Pages also work without it. */
export const script = `"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);

  // Shows the values of the bucket under the pointer, or of the one that the arrow keys select.
  function readChart(plot) {
    const data = JSON.parse(plot.dataset.plot);
    const svgs = [...plot.querySelectorAll("svg")];
    const reading = plot.parentElement.querySelector(".reading");
    const number = new Intl.NumberFormat("en");
    const time = new Intl.DateTimeFormat("en", {
      timeZone: "UTC", month: "short", day: "numeric", ...(data.unit === "hour" ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : {}),
    });
    const cursors = svgs.map((svg) => {
      const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
      cursor.setAttribute("class", "cursor");
      svg.append(cursor);
      return cursor;
    });
    const { left, right, top, bottom } = data.margin;
    const span = data.to - data.from || 1;
    const xOf = (when, svg) => left + ((when - data.from) / span) * (svg.viewBox.baseVal.width - left - right);
    let at = data.points.length - 1;
    function show(index) {
      at = Math.max(0, Math.min(data.points.length - 1, index));
      const [when, ...values] = data.points[at];
      svgs.forEach((svg, i) => {
        const height = svg.viewBox.baseVal.height;
        cursors[i].setAttribute("d", "M" + xOf(when, svg) + "," + top + "V" + (height - bottom));
      });
      reading.textContent = time.format(when) + " UTC: " + values.map((value, i) => data.names[i] + " " + number.format(value)).join(", ");
    }
    plot.addEventListener("pointermove", (event) => {
      const svg = svgs.find((svg) => svg.getBoundingClientRect().width > 0);
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const distance = (index) => Math.abs(xOf(data.points[index][0], svg) - x);
      show(data.points.reduce((nearest, _, index) => (distance(index) < distance(nearest) ? index : nearest), 0));
    });
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity, PageUp: -10, PageDown: 10 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      show(at + steps[event.key]);
    });
    plot.addEventListener("focus", () => show(at));
  }

  // Requests a refresh without leaving the page.
  function liveRefresh(form) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = $("button", form);
      const output = $("output", form);
      button.disabled = true;
      output.textContent = "Requesting…";
      try {
        const response = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" } });
        if (response.status === 202) return follow(true);
        if (response.status === 429) return countDown(Number(response.headers.get("Retry-After")) || 60, button, output);
        const problem = await response.json().catch(() => ({}));
        output.textContent = problem.detail || "The request failed with status " + response.status + ". Try again.";
      } catch {
        output.textContent = "Cannot reach the service. Try again.";
      }
      button.disabled = false;
    });
  }

  function countDown(seconds, button, output) {
    const end = Date.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left <= 0) {
        button.disabled = false;
        output.textContent = "";
        return;
      }
      output.textContent = "A refresh was requested recently. You can refresh again in " + Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
      setTimeout(tick, 250);
    };
    tick();
  }

  // Polls until the refresh is done, then replaces the live part of the page. The focus returns to the button if the
  // visitor pressed it.
  async function follow(restoreFocus) {
    for (let wait = 500; ; wait = Math.min(wait * 1.5, 5000)) {
      const progress = $("#refresh output");
      if (progress) progress.textContent = "Refreshing…";
      await new Promise((resolve) => setTimeout(resolve, wait));
      let page;
      try {
        // Not location.href, which may be the address of a form.
        const response = await fetch("/experiments/" + $("#live").dataset.id + location.search);
        if (response.status === 404) return location.reload();
        if (!response.ok) continue;
        page = new DOMParser().parseFromString(await response.text(), "text/html");
      } catch {
        continue;
      }
      const live = $("#live", page);
      if (!live) return location.reload();
      if ($("#refresh button[disabled]", live)) continue;
      $("#live").replaceWith(document.adoptNode(live));
      begin();
      if (restoreFocus && document.activeElement === document.body) $("#refresh button")?.focus({ preventScroll: true });
      const output = $("#refresh output");
      if (output) output.textContent = $("#live .freshness .problem") ? "The refresh failed." : "Numbers updated.";
      return;
    }
  }

  function begin() {
    for (const plot of document.querySelectorAll("#live .plot")) readChart(plot);
    const form = $("#live #refresh");
    if (form) {
      liveRefresh(form);
      if ($("button", form).disabled) follow(false);
    }
  }

  begin();
  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
    });
})();
`;
