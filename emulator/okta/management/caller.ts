import { BlockList, isIP } from 'node:net'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Call } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'
import type { Org } from '../model/org.ts'
import type { AdminRole, ApiToken } from '../model/types.ts'

/** Who calls the management API. */
export interface Caller {
  /** Whose ceiling of a bucket it is: id of the API token, or of the service app. */
  readonly id: string
  readonly role: AdminRole
  /** Absent: a service app, which is nobody. */
  readonly ownerId?: string
  /** Absent: an API token, which is not limited by scopes. */
  readonly scopes?: readonly string[]
}

export interface CallerDeps {
  readonly org: Org
  readonly clock: Clock
  /** Behind a Bearer token of a service app; undefined when it is unknown or expired. */
  serviceCaller(accessToken: string): Caller | undefined
}

/** A token that nobody used for so long is dead; every call renews it (okta-api.md#api-tokens-and-errors). */
const IDLE: Span = 30 * 24 * 3_600_000

/**
 * Who is behind `Authorization: SSWS …`, or `Bearer …` of a service app (any other Bearer is no scheme here).
 * @throws OktaError E0000004 (no credentials or another scheme), E0000011 (unknown, expired, revoked, idle, owner
 * deactivated, or called from outside its network zone; which code Okta gives for the last is not documented)
 */
export function authenticate(call: Call, deps: CallerDeps): Caller {
  const [scheme = '', value = '', ...rest] = (call.req.headers.authorization ?? '').split(' ')
  if (value === '' || rest.length > 0) throw new OktaError('E0000004')
  switch (scheme.toUpperCase()) {
    case 'SSWS':
      return apiToken(value, call, deps)
    case 'BEARER':
      return serviceApp(value, call, deps)
    default:
      throw new OktaError('E0000004')
  }
}

/**
 * @throws OktaError E0000006 when the role or, for a service app, the scopes do not allow it. Both are needed
 * (okta-api.md#service-apps).
 */
export function authorize(caller: Caller, call: Call): void {
  const access = call.method === 'GET' ? 'read' : 'manage'
  const area = call.path.split('/')[3] ?? ''
  const scopeFits = caller.scopes?.some(
    (scope) => scope === `okta.${area}.${access}` || scope === `okta.${area}.manage`,
  )
  if (scopeFits === false) {
    challenge(call, 'insufficient_scope', 'The access token provided does not contain the required scopes.')
    throw new OktaError('E0000006')
  }
  if (!roleAllows(caller.role, access, area)) throw new OktaError('E0000006')
}

function roleAllows(role: AdminRole, access: 'read' | 'manage', area: string): boolean {
  if (role === 'SUPER_ADMIN') return true
  if (access !== 'read') return false
  return role === 'READ_ONLY_ADMIN' || (role === 'GROUP_MEMBERSHIP_ADMIN' && area !== 'logs' && area !== 'eventHooks')
}

function apiToken(value: string, call: Call, { org, clock }: CallerDeps): Caller {
  const token = org.findToken(value)
  const now = clock.now()
  if (
    !token ||
    token.revoked ||
    now - token.lastUsed > IDLE ||
    org.people.get(token.ownerId)?.status !== 'ACTIVE' ||
    !withinNetworks(token, call.req.socket.remoteAddress ?? '')
  ) {
    throw new OktaError('E0000011')
  }
  org.updateToken(token.id, { lastUsed: now })
  return { id: token.id, role: token.role, ownerId: token.ownerId }
}

function serviceApp(value: string, call: Call, deps: CallerDeps): Caller {
  const caller = deps.serviceCaller(value)
  if (caller) return caller
  challenge(call, 'invalid_token', 'The access token is invalid or has expired.')
  throw new OktaError('E0000011')
}

function challenge(call: Call, error: string, description: string): void {
  call.res.setHeader('www-authenticate', `Bearer error="${error}", error_description="${description}"`)
}

function withinNetworks(token: ApiToken, address: string): boolean {
  if (!token.networks) return true
  const list = new BlockList()
  for (const network of token.networks) {
    const [base = '', bits] = network.split('/')
    const family = isIP(base) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(base, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family)
  }
  const plain = address.replace(/^::ffff:/, '')
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
}
