// How wide a place is, so that what is drawn in it has letters of one size on every screen.
import { type RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** A place and its width in pixels; 0 before it is known. */
export function useWidth<T extends Element>(): [RefObject<T | null>, number] {
  const place = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const root = place.current;
    if (!root) return undefined;
    setWidth(Math.floor(root.clientWidth));
    const watch = new ResizeObserver(() => setWidth(Math.floor(root.clientWidth)));
    watch.observe(root);
    return () => watch.disconnect();
  }, []);
  return [place, width];
}
