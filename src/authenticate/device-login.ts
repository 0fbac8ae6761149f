/**
 * Programs on a machine without a browser: the identity provider's device code (RFC 8628), where the operator allows it
 * (`allow_device_login`). Whoever begins one gets the session of whoever enters its code, so that people can be talked into
 * it (§5.4); a code that is copied from a browser (program-login.ts) goes the other way.
 */
import type { Live } from '../config/model.ts'
import type { Directory } from '../directory/model.ts'
import { AppError, toAppError } from '../errors.ts'
import type { Reply } from '../http/exchange.ts'
import { networkOf } from '../lib/client-network.ts'
import { sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import { elapsed, epochMillis, later } from '../lib/time.ts'
import { personKey } from '../lib/person.ts'
import { jsonReply } from '../pages/reply.ts'
import type { Clock, IdentityProvider, IdentityProviders, Monotonic, Span, WallTime } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import { acceptedProviders } from './accepted.ts'
import type { ControlRequest } from './control-request.ts'

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** Begun by one client within a minute, each a call to the provider. */
const MAX_BEGUN = 10
const BEGUN_FOR: Span = 60_000
/** RFC 8628 §3.5, where the provider says nothing. */
const INTERVAL_S = 5
const CONTEXT = 'device login'

/** What the program holds, sealed. */
interface Device {
  readonly host: string
  readonly provider: string
  readonly code: string
  readonly interval: number
  readonly expires: number
}

type SignedIn = Awaited<ReturnType<IdentityProvider['complete']>>

export interface DeviceLogin {
  /** `ROUTE/{prefix}/api/v1/device`. */
  begin(request: ControlRequest): Promise<Reply>
  /** One question of the program. A session: it is signed in. */
  poll(request: ControlRequest, sealed: string): Promise<Reply | Session>
}

export function createDeviceLogin(deps: {
  readonly idps: IdentityProviders
  readonly sessions: Pick<Sessions, 'create'>
  readonly directory: Pick<Directory, 'refresh' | 'status'>
  readonly admit: (
    provider: string,
    completed: SignedIn,
    live: Live,
    now: WallTime,
  ) => Promise<{ readonly expiresAt: WallTime }>
  readonly keyRings: KeyRings
  readonly clock: Clock
}): DeviceLogin {
  const { idps, sessions, directory, admit, keyRings, clock } = deps
  const ring = keyRings('device login')
  const begun = new Map<string, number>()
  /** By hash of the code; until it ends. */
  const askedAt = new Map<string, Monotonic>()

  function count(client: string): boolean {
    const number = begun.get(client) ?? 0
    if (number >= MAX_BEGUN) return false
    begun.set(client, number + 1)
    clock.after(BEGUN_FOR, () => {
      const left = (begun.get(client) ?? 1) - 1
      if (left > 0) begun.set(client, left)
      else begun.delete(client)
    })
    return true
  }

  /** Sooner than the provider wants to be asked? */
  function isTooSoon({ code, interval }: Device): boolean {
    const key = sha256(code)
    const before = askedAt.get(key)
    const now = clock.monotonic()
    if (before !== undefined && elapsed(now, before) < (interval - 1) * 1000) return true
    askedAt.set(key, now)
    if (before === undefined) clock.after(interval * 2000, () => askedAt.delete(key))
    return false
  }

  async function signedIn(
    { facts, generation }: ControlRequest,
    idp: IdentityProvider,
    completed: SignedIn,
  ): Promise<Reply | Session> {
    const now = clock.now()
    const { identity, tokens } = completed
    const { expiresAt } = await admit(idp.name, completed, generation.live, now)
    const person = personKey(identity)
    await directory.refresh(person, AbortSignal.timeout(idp.timeout))
    if (directory.status(person) === 'inactive') return refused('access_denied', 'this account is not active')
    const { sessionIdleTimeout: idle } = generation.live
    return sessions.create(identity, tokens, expiresAt, {
      provider: idp.name,
      requestId: facts.id,
      userAgent: facts.userAgent,
      clientIp: facts.clientIp,
      ...(idle > 0 && { idleTimeout: idle }),
    })
  }

  return {
    async begin(request) {
      const { facts, generation } = request
      const accepted = acceptedProviders(request)
      const idp = idps.all.find(({ name }) => accepted?.includes(name) ?? true)
      if (!idp) return refused('unauthorized_client', 'no identity provider signs people in for this host')
      if (!generation.live.allowDeviceLogin) return refused('unauthorized_client', 'allow_device_login is not set')
      if (!count(networkOf(facts.clientIp)))
        throw new AppError('ERR_SIGN_IN_LIMIT', 'device login: too many were begun')
      const found = await idp.beginDevice(AbortSignal.timeout(idp.timeout))
      if (!found) return refused('unauthorized_client', 'the identity provider has no device codes for this client')
      const { device_code: code, interval = INTERVAL_S, expires_in: seconds, ...shown } = found
      const expires = epochMillis(later(clock.now(), seconds * 1000))
      const device: Device = { host: facts.host, provider: idp.name, code, interval, expires }
      return jsonReply(200, {
        device_code: ring.seal(JSON.stringify(device), CONTEXT),
        ...shown,
        expires_in: seconds,
        interval,
      })
    },

    async poll(request, sealed) {
      const { facts, generation } = request
      const text = ring.open(sealed, CONTEXT)
      // Sealed by us: what opens is what `begin` wrote.
      const device = text === undefined ? undefined : (JSON.parse(text) as Device)
      const idp = device && idps.named(device.provider)
      const isOver = !device || device.host !== facts.host || device.expires <= epochMillis(clock.now())
      if (!generation.live.allowDeviceLogin || !idp || isOver) return refused('expired_token', 'begin again')
      if (isTooSoon(device)) return refused('slow_down', `ask every ${device.interval} seconds`)
      const answer = await idp.pollDevice(device.code, AbortSignal.timeout(idp.timeout)).catch(toAppError)
      if (answer instanceof AppError) {
        if (answer.code !== 'ERR_IDP_REJECTED') throw answer
        return refused('access_denied', 'the identity provider did not complete the sign-in')
      }
      return 'error' in answer ? refused(answer.error, 'said by the identity provider') : signedIn(request, idp, answer)
    },
  }
}

/** RFC 8628 §3.5. */
function refused(error: string, description: string): Reply {
  return jsonReply(400, { error, error_description: description })
}
