// Updates the page: polls the version number, and replaces the live parts of the page when it has changed.
(() => {
  // The version that the page shows: a message may come between its rendering and the first poll.
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
      // The sandbox is restarting: try again at the next poll.
    }
  };
  toEnd();
  setInterval(look, 1500);
  look();
})();
