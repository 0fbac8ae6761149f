import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const CLIENT_ID = 'postern'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const strangerRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')

type Claims = Record<string, unknown>
export type Answer = (req: IncomingMessage, res: ServerResponse, body: string) => void

/** What the provider does wrong; everything left out is done right. */
export interface Misbehaviour {
  /** Issuer path, e.g. `/oauth2/default`. */
  readonly path?: string
  readonly metadata?: (metadata: Claims) => unknown
  readonly header?: Claims
  /** undefined values remove a claim. */
  readonly claims?: Claims
  readonly signature?: 'stranger' | 'broken' | 'none' | 'hs256-public-key' | 'es256' | 'ps256' | 'eddsa'
  readonly keys?: () => readonly object[]
  readonly token?: (answer: Claims) => unknown
  readonly userinfo?: Claims
  readonly answers?: {
    readonly discovery?: Answer
    readonly token?: Answer
    readonly userinfo?: Answer
    readonly keys?: Answer
    /** It offers pushed requests. */
    readonly pushed?: Answer
  }
}

export interface HostileIdp {
  readonly issuer: string
  readonly calls: { readonly path: string; readonly headers: IncomingMessage['headers']; readonly body: string }[]
  /** Nonce of the sign-in that is under way. */
  nonce: string
  behave(misbehaviour: Misbehaviour): void
  callsTo(path: string): number
  close(): Promise<void>
}

/** An identity provider that can do each thing wrong, one at a time. */
export async function startHostileIdp(misbehaviour: Misbehaviour = {}): Promise<HostileIdp> {
  let wrong = misbehaviour
  const calls: HostileIdp['calls'] = []
  const server = createServer((req, res) => {
    const pieces: Buffer[] = []
    req.on('data', (piece: Buffer) => pieces.push(piece))
    req.on('end', () => {
      const path = (req.url ?? '').split('?')[0] ?? ''
      const body = Buffer.concat(pieces).toString()
      calls.push({ path, headers: req.headers, body })
      answer(path, req, res, body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${origin}${misbehaviour.path ?? ''}`

  function answer(path: string, req: IncomingMessage, res: ServerResponse, body: string): void {
    const special = wrong.answers ?? {}
    if (path === `${misbehaviour.path ?? ''}/.well-known/openid-configuration`) {
      if (special.discovery) return special.discovery(req, res, body)
      const metadata = {
        issuer,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        userinfo_endpoint: `${origin}/userinfo`,
        jwks_uri: `${origin}/keys`,
        ...(special.pushed && { pushed_authorization_request_endpoint: `${origin}/par` }),
        // The lists a careless server would publish; ours must not grow by them.
        id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
      }
      return json(res, wrong.metadata ? wrong.metadata(metadata) : metadata)
    }
    if (path === '/keys') {
      if (special.keys) return special.keys(req, res, body)
      return json(res, {
        keys: wrong.keys?.() ?? [
          publicJwk(rsa.publicKey, 'rsa'),
          publicJwk(ec.publicKey, 'ec'),
          publicJwk(ed.publicKey, 'ed'),
        ],
      })
    }
    if (path === '/par' && special.pushed) return special.pushed(req, res, body)
    if (path === '/token') {
      if (special.token) return special.token(req, res, body)
      const right = {
        access_token: 'at',
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: 'rt',
        id_token: idToken(),
      }
      return json(res, wrong.token ? wrong.token(right) : right)
    }
    if (path === '/userinfo') {
      if (special.userinfo) return special.userinfo(req, res, body)
      return json(res, wrong.userinfo ?? { sub: '00u-alice', department: 'R&D' })
    }
    res.writeHead(404).end()
  }

  function idToken(): string {
    const seconds = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      aud: CLIENT_ID,
      sub: '00u-alice',
      iat: seconds,
      exp: seconds + 3600,
      nonce: idp.nonce,
      ...wrong.claims,
    }
    return signed(wrong, claims)
  }

  const idp: HostileIdp = {
    issuer,
    calls,
    nonce: '',
    behave: (next) => {
      wrong = { ...next, path: misbehaviour.path ?? '' }
      calls.length = 0
    },
    callsTo: (path) => calls.filter((call) => call.path === path).length,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return idp
}

export function json(res: ServerResponse, value: unknown, status = 200): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** A second signing key, as after a rotation. */
export function rotatedKey(): { readonly jwk: object; readonly header: Claims } {
  return { jwk: publicJwk(strangerRsa.publicKey, 'rotated'), header: { kid: 'rotated' } }
}

function publicJwk(key: KeyObject, kid: string): object {
  return { ...key.export({ format: 'jwk' }), kid, use: 'sig' }
}

const ALGORITHMS = {
  none: ['none', 'rsa'],
  'hs256-public-key': ['HS256', 'rsa'],
  es256: ['ES256', 'ec'],
  ps256: ['PS256', 'rsa'],
  eddsa: ['EdDSA', 'ed'],
  stranger: ['RS256', 'rsa'],
  broken: ['RS256', 'rsa'],
} as const

function signed(wrong: Misbehaviour, claims: Claims): string {
  const [alg, kid] = ALGORITHMS[wrong.signature ?? 'stranger']
  const header = { alg, kid, ...wrong.header }
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${signatureOf(wrong.signature, input)}`
}

function signatureOf(kind: Misbehaviour['signature'], input: string): string {
  switch (kind) {
    case 'none':
      return ''
    case 'hs256-public-key':
      return createHmac('sha256', rsa.publicKey.export({ type: 'spki', format: 'pem' }))
        .update(input)
        .digest('base64url')
    case 'es256':
      return sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    case 'ps256': {
      const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      return sign('sha256', Buffer.from(input), { key: rsa.privateKey, ...padding }).toString('base64url')
    }
    case 'eddsa':
      return sign(null, Buffer.from(input), ed.privateKey).toString('base64url')
    case 'stranger':
      return sign('sha256', Buffer.from(input), strangerRsa.privateKey).toString('base64url')
    case 'broken':
      return sign('sha256', Buffer.from(`${input} `), rsa.privateKey).toString('base64url')
    default:
      return sign('sha256', Buffer.from(input), rsa.privateKey).toString('base64url')
  }
}
