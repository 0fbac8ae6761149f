import { randomBytes } from 'node:crypto'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Call, form, html, json, type Reply } from '../http/call.ts'
import type { Org } from '../model/org.ts'
import type { OrgApp } from '../model/types.ts'
import { errorPage, signInPage } from '../pages/sign-in-page.tsx'
import { credentialsOf } from './client.ts'
import type { Keys } from './keys.ts'
import type { ServerAddress } from './metadata.ts'
import type { OidcStorage } from './storage.ts'
import { FAULTS, fault, type OAuthFault } from './texts.ts'
import { TOKEN_SECONDS, type Tokens } from './tokens.ts'

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

const LIFETIME_SECONDS = 600
const INTERVAL_SECONDS = 5
/** Okta's alphabet: nothing that is taken for something else. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'

const REFUSED = {
  pending: fault(400, 'authorization_pending', 'The device authorization is pending. Please try again later.'),
  slow: fault(400, 'slow_down', 'The client is polling too frequently. Please try again later.'),
  denied: fault(400, 'access_denied', 'The resource owner or authorization server denied the request.'),
  expired: fault(400, 'expired_token', 'The device code is invalid or has expired.'),
  grant: fault(
    400,
    'unauthorized_client',
    `The client is not authorized to use the provided grant type. Configured grant types: [authorization_code].`,
  ),
} as const satisfies Record<string, OAuthFault>

interface Device {
  readonly userCode: string
  readonly appId: string
  readonly scopes: readonly string[]
  readonly expiresAt: Span
  askedAt: Span
  answer: { readonly personId: string } | 'denied' | undefined
}

/** The device authorization grant (RFC 8628) of one authorization server, with Okta's shapes. */
export interface Devices {
  authorize(call: Call): Promise<Reply>
  token(body: URLSearchParams, call: Call): Promise<Reply>
  /** `/activate`: where a person enters the code. */
  activate(call: Call): Promise<Reply>
}

export function createDevices(deps: {
  readonly url: string
  readonly address: ServerAddress
  readonly clock: Clock
  readonly org: Org
  readonly keys: Keys
  readonly tokens: Tokens
  readonly storage: OidcStorage
}): Devices {
  const { address, clock, org, keys, tokens } = deps
  const devices = new Map<string, Device>()

  function clientOf(call: Call, body: URLSearchParams): OrgApp | OAuthFault {
    const { id, secret } = credentialsOf(call, body)
    const app = org.apps.get(id)
    if (!app) return FAULTS.unknownClient
    if (app.secret !== secret) return FAULTS.clientSecret
    return app.grantTypes.includes(DEVICE_GRANT) ? app : REFUSED.grant
  }

  function outcomeOf(device: Device | undefined, app: OrgApp): OAuthFault | string {
    if (!device || device.appId !== app.id || device.expiresAt <= clock.now()) return REFUSED.expired
    const tooSoon = clock.now() - device.askedAt < INTERVAL_SECONDS * 1000
    device.askedAt = clock.now()
    if (device.answer === 'denied') return REFUSED.denied
    if (device.answer) return device.answer.personId
    return tooSoon ? REFUSED.slow : REFUSED.pending
  }

  return {
    async authorize(call) {
      const body = await form(call)
      const app = clientOf(call, body)
      if ('error' in app) return refuse(app)
      const deviceCode = randomBytes(32).toString('base64url')
      const userCode = [...randomBytes(8)].map((byte) => LETTERS[byte % LETTERS.length]).join('')
      devices.set(deviceCode, {
        userCode,
        appId: app.id,
        scopes: (body.get('scope') ?? '').split(' ').filter(Boolean),
        expiresAt: clock.now() + LIFETIME_SECONDS * 1000,
        askedAt: 0,
        answer: undefined,
      })
      const page = `${deps.url}/activate`
      return json(200, {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: page,
        verification_uri_complete: `${page}?user_code=${userCode}`,
        expires_in: LIFETIME_SECONDS,
        interval: INTERVAL_SECONDS,
      })
    },

    async token(body, call) {
      const app = clientOf(call, body)
      if ('error' in app) return refuse(app)
      const code = body.get('device_code') ?? ''
      const device = devices.get(code)
      const outcome = outcomeOf(device, app)
      if (typeof outcome !== 'string') return refuse(outcome)
      devices.delete(code)
      const person = org.people.get(outcome)
      if (!device || !person || !org.isAssigned(app.id, person.id)) return refuse(REFUSED.denied)
      const server = org.authorizationServers.get(address.id)
      const context = { org, person, app, scopes: new Set(device.scopes), ...(server && { server }) }
      const facts = {
        authTime: Math.floor(clock.now() / 1000),
        amr: ['pwd'],
        acr: 'urn:okta:loa:1fa:any',
        nonce: undefined,
      }
      // What userinfo, introspection and revocation look for.
      const inner = randomBytes(32).toString('base64url')
      const record = { kind: 'AccessToken', accountId: person.id, clientId: app.id, scope: device.scopes.join(' ') }
      await deps.storage.adapter(address.id)('AccessToken').upsert(inner, record, TOKEN_SECONDS)
      const { accessToken, idToken } = await tokens.issue(address, keys, context, facts, inner)
      return json(200, {
        token_type: 'Bearer',
        expires_in: TOKEN_SECONDS,
        access_token: accessToken,
        scope: device.scopes.join(' '),
        ...(idToken !== undefined && { id_token: idToken }),
      })
    },

    async activate(call) {
      const userCode = call.query.get('user_code') ?? ''
      const device = [...devices.values()].find((each) => each.userCode === userCode && each.expiresAt > clock.now())
      if (!device)
        return html(400, errorPage({ status: 400, error: 'invalid_code', error_description: 'Invalid code.' }))
      const app = org.apps.get(device.appId)?.label ?? ''
      if (call.method === 'GET') return html(200, signInPage({ app, hint: '', people: [], askPassword: false }))
      const fields = await form(call)
      const person = org.findPerson(fields.get('identifier') ?? '')
      const may = person?.status === 'ACTIVE'
      device.answer = may && !fields.has('cancel') ? { personId: person.id } : 'denied'
      return html(200, '<!doctype html><title>Device activated</title><h1>Device activated</h1>')
    },
  }
}

function refuse({ status, error, error_description }: OAuthFault): Reply {
  return json(status, { error, error_description })
}
