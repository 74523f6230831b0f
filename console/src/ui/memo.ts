// A component that is drawn again only when what it is given changes.
import { Component, type ComponentType, type VNode, h } from "preact";

export function memo<P extends object>(View: (props: P) => VNode | null): ComponentType<P> {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>) {
      const names = Object.keys(next) as (keyof P)[];
      return names.some((name) => next[name] !== this.props[name]);
    }
    override render() {
      return h(View, this.props as P);
    }
  };
}
