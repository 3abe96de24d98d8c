// Loaded before anything is drawn, so that a chosen theme does not flash. "auto" follows the system.
(() => {
  const themes = ["auto", "light", "dark"];
  const stored = () => {
    try {
      return localStorage.getItem("smcs-theme");
    } catch {
      return null; // storage may be forbidden
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
      button.setAttribute("aria-label", `Colours: ${theme}. Change`);
      button.title = "Colours: as the system, light, or dark";
    }
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    document.getElementById("theme").addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try {
        localStorage.setItem("smcs-theme", theme);
      } catch {
        // holds for this page alone, then
      }
      apply(theme);
    });
  });
})();
