// A real provider of identities (oidc-provider, which is certified) for the tests: who logs in, and with which groups, is
// said at /control, and nobody is asked for a password. Prints its address.
//   node provider.mjs FOLDER_OF_NODE_MODULES CALLBACK
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [folder, callback] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${folder}/${path}`).href);
const { Provider } = await load("oidc-provider/lib/index.js");
const jose = await load("jose/dist/webapi/index.js");

const people = new Map();
let now = "";

async function key(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), alg, use: "sig", kid: `${alg}-${Date.now()}` };
}

async function make(issuer, alg) {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "fiscwatch",
        client_secret: "a secret & more",
        redirect_uris: [callback],
        post_logout_redirect_uris: [callback.replace("api/v1/session/oidc/callback", "")],
        id_token_signed_response_alg: alg,
      },
    ],
    jwks: { keys: [await key(alg)] },
    conformIdTokenClaims: false,
    claims: { profile: ["preferred_username", "groups"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people.get(id) }) }),
    async loadExistingGrant({ oidc }) {
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid profile");
      await grant.save();
      return grant;
    },
  });
  return provider;
}

let provider;
const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://here");
  if (url.pathname === "/control") {
    const { sub, name, groups, rotate } = Object.fromEntries(url.searchParams);
    if (sub) {
      now = sub;
      people.set(sub, { preferred_username: name, groups: groups.split(",").filter((group) => group) });
    }
    if (rotate) provider = await make(issuer, rotate);
    return response.end();
  }
  if (url.pathname.startsWith("/interaction/")) {
    return provider.interactionFinished(request, response, { login: { accountId: now } });
  }
  return provider.callback()(request, response);
});
let issuer;
server.listen(0, "127.0.0.1", async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  provider = await make(issuer, "RS256");
  console.log(issuer);
});
// Nobody has to hear what it says later.
process.stdout.on("error", () => {});
// It goes with the test that holds its input open.
process.stdin.on("end", () => process.exit()).resume();
