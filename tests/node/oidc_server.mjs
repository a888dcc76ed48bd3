// Runs `oidc-provider`, an OAuth 2.0 server, on a free loopback port, with a list that its tokens open. On stdout: the
// port, then a line of JSON with what a test has to know (an initial refresh token, keys for assertions), then one line
// for each answer: METHOD PATH STATUS, and one for each time that a token opens the list. Ends when its stdin is closed.
// The argument is the life of an access token in seconds.
//
// Ours is only the list, and the endpoint that takes assertions: it verifies them with `jose`.

import { createServer } from "node:http";
import { exportPKCS8, generateKeyPair, jwtVerify } from "jose";
import Provider from "oidc-provider";

const life = Number(process.argv.at(-1));
const ISSUER = "me@shop.example";
const SHARED = "0123456789abcdef0123456789abcdef";

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address();
const origin = `http://127.0.0.1:${port}`;

const client = (client_id, token_endpoint_auth_method, grant_types, more) => ({
  client_id, token_endpoint_auth_method, grant_types, redirect_uris: [], response_types: [], ...more,
});
const provider = new Provider(origin, {
  clients: [
    client("in:header", "client_secret_basic", ["client_credentials"], { client_secret: "50% +~/b:c" }),
    client("in-body", "client_secret_post", ["client_credentials"], { client_secret: "50% +~/b:c" }),
    client("rotating", "client_secret_basic", ["refresh_token", "authorization_code"], {
      client_secret: "s3cret", redirect_uris: [`${origin}/back`], response_types: ["code"],
    }),
  ],
  scopes: ["openid", "offline_access", "orders"],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: life, ClientCredentials: life, Grant: 86_400, IdToken: 3600, RefreshToken: 86_400 },
});

// What a person's consent in a browser would have left behind.
async function firstRefreshToken() {
  const grant = new provider.Grant({ clientId: "rotating", accountId: "zoe" });
  grant.addOIDCScope("openid offline_access orders");
  const token = new provider.RefreshToken({
    accountId: "zoe", client: await provider.Client.find("rotating"), grantId: await grant.save(),
    gty: "authorization_code", scope: "openid offline_access orders",
  });
  return token.save();
}

const verifiers = { HS256: new TextEncoder().encode(SHARED) };
const keys = { HS256: SHARED };
for (const algorithm of ["RS256", "ES256", "EdDSA"]) {
  const options = { extractable: true, ...(algorithm === "EdDSA" ? { crv: "Ed25519" } : {}) };
  const pair = await generateKeyPair(algorithm, options);
  verifiers[algorithm] = pair.publicKey;
  keys[algorithm] = await exportPKCS8(pair.privateKey);
}

const issued = [];
const numbers = new Map();
function note(token) {
  issued.push(token);
  numbers.set(token.jti, numbers.size + 1);
}
provider.on("access_token.saved", note);
provider.on("client_credentials.saved", note);

const assertions = new Set();

// RFC 7523, section 3: whose it is, whom it is for, that it is young, and that it was not seen before.
async function assertionGrant(algorithm, form) {
  if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer") return [400, { error: "unsupported_grant_type" }];
  try {
    const { payload, protectedHeader } = await jwtVerify(form.get("assertion"), verifiers[algorithm], {
      algorithms: [algorithm], audience: `${origin}/assertion/${algorithm}`, issuer: ISSUER, maxTokenAge: "5m",
      requiredClaims: ["exp", "jti", "sub"], typ: "JWT",
    });
    if (assertions.has(payload.jti)) throw new Error("seen before");
    assertions.add(payload.jti);
    if (protectedHeader.kid !== "k1" || payload.sub !== "zoe") throw new Error("not as agreed");
  } catch (error) {
    return [400, { error: "invalid_grant", error_description: String(error) }];
  }
  const token = new provider.ClientCredentials({ client: await provider.Client.find("in-body"), scope: "orders" });
  return [200, { access_token: await token.save(), token_type: "Bearer", expires_in: token.expiration }];
}

async function list(request) {
  const token = request.headers.authorization?.match(/^Bearer (.+)$/)?.[1] ?? "none";
  const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
  if (!found?.isValid) return [401, { error: "invalid_token" }];
  if (!found.scope?.split(" ").includes("orders")) return [403, { error: "insufficient_scope" }];
  console.log(`token ${numbers.get(found.jti)} is used`);
  return [200, { orders: [{ id: 1 }] }];
}

async function revoke() {
  for (const token of issued.splice(0)) await token.destroy();
  return [200, {}];
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

async function answer(request, response, path) {
  const algorithm = path.match(/^\/assertion\/(\w+)$/)?.[1];
  let own;
  if (path === "/orders") own = await list(request);
  else if (path === "/revoke") own = await revoke();
  else if (algorithm) own = await assertionGrant(algorithm, await bodyOf(request));
  if (!own) return provider.callback()(request, response);
  const [status, body] = own;
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

server.on("request", (request, response) => {
  const path = new URL(request.url, origin).pathname;
  // Told before the last byte goes: whoever has the answer finds its line.
  const end = response.end.bind(response);
  response.end = (...rest) => {
    console.log(`${request.method} ${path} ${response.statusCode}`);
    return end(...rest);
  };
  answer(request, response, path).catch((error) => response.writeHead(500).end(String(error)));
});

process.stdin.on("end", () => process.exit(0)).resume();
console.log(port);
console.log(JSON.stringify({ refresh: await firstRefreshToken(), keys }));
