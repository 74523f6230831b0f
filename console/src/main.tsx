import { render } from "preact";
import "./styles/index.css";
import { App } from "./app";
import { loaded } from "./text";

void loaded.then(() => render(<App />, document.getElementById("app")!));

if ("serviceWorker" in navigator && location.protocol === "https:") {
  // It keeps the shell only: no answer of the daemon is ever stored.
  navigator.serviceWorker.register("/worker.js").catch(() => undefined);
}
