// A provider that signs access tokens for machines, one resource for each algorithm.
//
// node provider.js SOCKET KEYS CLIENT SECRET
//
// SOCKET is the number of a bound socket that this process inherits, KEYS a file with a private JWK
// Set, of which the first key that fits an algorithm signs.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import Provider from "oidc-provider";

const [socket, keys, client, secret] = process.argv.slice(2);
let answer = (_, response) => response.writeHead(503).end();

const server = createServer((request, response) => answer(request, response));
server.listen({ fd: Number(socket) }, () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: JSON.parse(readFileSync(keys, "utf8")),
    clients: [
      {
        client_id: client,
        client_secret: secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ["orders:read"],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "orders:read",
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: resource.split(":").pop() } },
        }),
      },
    },
  });
  answer = provider.callback();
});
