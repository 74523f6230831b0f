// What draws curves, in a file of its own: most screens have none.
export { default } from "uplot";
