// A screen that goes dark says nothing: how it is kept awake, and how it waits.

/** A pause. It ends early when the network is back, or somebody looks at the tab again. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const ending = new AbortController();
    const end = () => {
      clearTimeout(timer);
      ending.abort();
      resolve();
    };
    const timer = setTimeout(end, ms);
    for (const [target, kind] of [[window, "online"], [document, "visibilitychange"], [signal, "abort"]]) {
      target.addEventListener(kind, end, { signal: ending.signal });
    }
  });
}

/** Keep the screen lit until the signal. Browsers may refuse, and take the lock back when the tab is hidden. */
export function keepAwake(signal) {
  const hold = async () => {
    if (document.hidden) return;
    const lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (signal.aborted) lock?.release();
    else signal.addEventListener("abort", () => lock?.release());
  };
  hold();
  document.addEventListener("visibilitychange", hold, { signal });
}
