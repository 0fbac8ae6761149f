/** An issuer of JWTs on a port of its own: metadata, keys, and tokens of whatever layout. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { listenOn, portOf } from './world.ts'

type Algorithm = 'RS256' | 'ES256' | 'EdDSA'

export interface IssuerServer {
  readonly url: string
  readonly kid: string
  /** The first public key, as its key set has it. */
  readonly jwk: JWK
  /** Signed by the current key, `exp` in five minutes unless the claims say; `header` over what stands there. */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>
  /** Another key instead of the one that it had. */
  rotate(): Promise<void>
  /** How often the key set was read. */
  reads(): number
  /** From now on 503 for everything. */
  down(isDown: boolean): void
  /** The next request waits until it is let go; resolves when it is there. */
  hold(): Promise<() => void>
  close(): Promise<void>
}

/** `now`: seconds since the epoch. */
export async function createIssuerServer({
  alg = 'RS256',
  now = () => Math.floor(Date.now() / 1000),
}: {
  readonly alg?: Algorithm
  readonly now?: () => number
} = {}): Promise<IssuerServer> {
  let made = 0
  async function newKey() {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const kid = `${alg}-${++made}`
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
  }
  const first = await newKey()
  let current = first
  let reads = 0
  let isDown = false
  let hold: ((letGo: () => void) => void) | undefined
  const server: Server = await listenOn(
    createServer((req, res) => {
      const held = hold
      hold = undefined
      if (held) return held(() => answer(req, res))
      answer(req, res)
    }),
  )
  function answer(req: IncomingMessage, res: ServerResponse): void {
    if (req.url === '/keys') reads++
    const documents: Readonly<Record<string, unknown>> = {
      '/.well-known/openid-configuration': { issuer: url(), jwks_uri: `${url()}/keys` },
      '/keys': { keys: [current.jwk] },
    }
    const found = documents[req.url ?? '']
    res.writeHead(isDown ? 503 : found ? 200 : 404, { 'content-type': 'application/json' })
    res.end(JSON.stringify(found ?? {}))
  }
  const url = (): string => `http://127.0.0.1:${portOf(server)}`
  return {
    url: url(),
    kid: first.kid,
    jwk: first.jwk,
    sign: (claims, header) =>
      new SignJWT({ iss: url(), iat: now(), exp: now() + 300, ...claims })
        .setProtectedHeader({ alg, kid: current.kid, typ: 'JWT', ...header })
        .sign(current.privateKey),
    async rotate() {
      current = await newKey()
    },
    reads: () => reads,
    down: (value) => void (isDown = value),
    hold: () => new Promise((reached) => (hold = reached)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
