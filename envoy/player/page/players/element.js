// What every player here begins with: its library, and a fresh video element.

/** Loads a classic script once. */
export function loadScript(path) {
  const present = document.querySelector(`script[src="${path}"]`);
  if (present) return present.loaded;
  const script = Object.assign(document.createElement("script"), { src: path });
  script.loaded = new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error(`cannot load ${path}`));
  });
  document.head.append(script);
  return script.loaded;
}

/** Puts a new video element on the screen: keys that an old one holds must not let the next attempt play. */
export function newVideo(screen) {
  const video = Object.assign(document.createElement("video"), { controls: true, playsInline: true, muted: true });
  screen.replaceChildren(video);
  return video;
}
