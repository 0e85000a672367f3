// What the scripts that add to a page build with: elements, and buttons that show an icon.
(() => {
  "use strict";
  const make = (tag, properties, ...children) => {
    const one = Object.assign(document.createElement(tag), properties);
    one.append(...children);
    return one;
  };
  const icon = (name, label, act) => make("button", { type: "button", title: label, ariaLabel: label, onclick: act },
    make("i", { className: `fa-solid ${name}`, ariaHidden: "true" }));
  window.gnParts = { make, icon };
})();
