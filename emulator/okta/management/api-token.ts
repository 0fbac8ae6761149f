import { BlockList, isIP } from 'node:net'
import type { Clock, Millis } from '../../../src/types.ts'
import type { Call } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'
import type { Org } from '../model/org.ts'
import type { ApiToken } from '../model/types.ts'

/** A token that nobody used for so long is dead; every call renews it (okta.md §2.1). */
const IDLE: Millis = 30 * 24 * 3_600_000

/**
 * The token behind `Authorization: SSWS …`.
 * @throws OktaError E0000004 (no credentials or another scheme), E0000011 (unknown, revoked, idle, owner deactivated,
 * or called from outside its network zone; which code Okta gives for the last is not documented)
 */
export function authenticate(call: Call, org: Org, clock: Clock): ApiToken {
  const [scheme = '', value = '', ...rest] = (call.req.headers.authorization ?? '').split(' ')
  if (scheme.toUpperCase() !== 'SSWS' || value === '' || rest.length > 0) throw new OktaError('E0000004')
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
  return token
}

/** @throws OktaError E0000006 when the role does not allow it. */
export function authorize(token: ApiToken, access: 'read' | 'write'): void {
  const allowed =
    token.role === 'SUPER_ADMIN' ||
    (token.role === 'READ_ONLY_ADMIN' && access === 'read') ||
    (token.role === 'GROUP_MEMBERSHIP_ADMIN' && access === 'read')
  if (!allowed) throw new OktaError('E0000006')
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
