// An identity provider that speaks OpenID Connect: whoever is said to come is let in at once.
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/**
 * One of its own, to be answered at paths below `url`. `who` is who comes next: the claims that are told of them, such as `{ sub, preferred_username,
 * groups }`; where it is null they stay outside.
 */
export function makeIssuer(url) {
  const begun = new Map();
  const issuer = { url, client: "polyport", who: null, answer };
  return issuer;

  /** The status, headers and body for what is asked of it. */
  function answer(path, query, form) {
    if (path === "/.well-known/openid-configuration") {
      return told({
        issuer: url,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        jwks_uri: `${url}/keys`,
        response_types_supported: ["code"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
      });
    }
    if (path === "/keys") return told({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "RS256", use: "sig" }] });
    if (path === "/authorize") return authorize(query);
    if (path === "/token") return token(form);
    return told({ error: "not_found" }, 404);
  }

  function authorize(query) {
    const back = new URL(query.get("redirect_uri"));
    back.searchParams.set("state", query.get("state"));
    if (issuer.who) {
      const code = randomUUID();
      begun.set(code, { who: issuer.who, nonce: query.get("nonce"), challenge: query.get("code_challenge") });
      back.searchParams.set("code", code);
    } else {
      back.searchParams.set("error", "access_denied");
    }
    return { status: 302, headers: { location: back.href }, body: "" };
  }

  function token(form) {
    const flow = begun.get(form.get("code"));
    begun.delete(form.get("code"));
    const proof = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    if (!flow || flow.challenge !== proof) return told({ error: "invalid_grant" }, 400);
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: url, aud: issuer.client, iat: now, exp: now + 300, nonce: flow.nonce, ...flow.who };
    const text = `${encode({ alg: "RS256", kid: "one" })}.${encode(claims)}`;
    const id_token = `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
    return told({ access_token: randomUUID(), token_type: "Bearer", expires_in: 300, id_token });
  }
}

function told(body, status = 200) {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
