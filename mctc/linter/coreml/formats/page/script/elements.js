// Building the document. Text goes in as text nodes only: nothing from a report is ever read as markup.

function byId(id) {
  return document.getElementById(id);
}

// element("p", {class: "soft", onclick: f, "aria-label": "..."}, "text", child, null)
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    const state = typeof value === "boolean" && key.startsWith("aria-"); // true and false are both words there
    if (value === null || value === undefined || (value === false && !state)) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true && !state ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

// A name from the package, its direction kept apart from the text around it.
function named(text, limit = 160) {
  return element("bdi", { class: "name" }, visible(text, limit));
}

function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

function facts(pairs) {
  const rows = pairs.filter((pair) => pair && pair[1] !== null);
  return element("dl", {}, rows.map(([term, ...value]) => [element("dt", {}, term), element("dd", {}, ...value)]));
}

function severityChip(severity, text = severity) {
  return element("span", { class: `severity ${severity}` }, text);
}

function placeWord(place) {
  return element("span", {}, element("span", { class: `swatch ${place}-fill` }), PLACES[place]);
}

// Fills `parent` with a child for each item, the first `size` at once, the rest when asked for.
function paged(parent, items, make, size) {
  let shown = 0;
  const more = button("", () => show(size * 4), { class: "link more" });
  const holder = element(parent.tagName === "TBODY" ? "tr" : parent.tagName === "UL" ? "li" : "div");
  holder.append(parent.tagName === "TBODY" ? element("td", { colspan: 20 }, more) : more);
  function show(number) {
    holder.remove();
    const part = document.createDocumentFragment();
    for (const end = Math.min(items.length, shown + number); shown < end; shown++) part.append(make(items[shown], shown));
    parent.append(part);
    if (shown < items.length) {
      more.textContent = `Show more (${(items.length - shown).toLocaleString("en")} left)`;
      parent.append(holder);
    }
  }
  show(size);
  return parent;
}
