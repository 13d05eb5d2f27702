// Follows what happens: looks at the version, and when it has changed, swaps the live parts of the page.
(() => {
  // What the page shows already: a message may come between its making and the first look.
  let known = document.body.dataset.version;
  const toEnd = () => {
    const thread = document.querySelector(".thread");
    if (thread) thread.scrollTop = thread.scrollHeight;
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      const version = await (await fetch("/version")).text();
      if (version !== known) {
        const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
          if (fresh && fresh.innerHTML !== part.innerHTML) {
            part.innerHTML = fresh.innerHTML;
            if (part.matches(".thread")) toEnd();
          }
        }
      }
      known = version;
    } catch {
      // The sandbox is restarting: the next look will tell.
    }
  };
  toEnd();
  setInterval(look, 1500);
  look();
})();
