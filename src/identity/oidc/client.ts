import * as oidc from 'openid-client'
import type { ClientAuth } from '../../config/model.ts'
import { AppError, assertNever, messageOf } from '../../errors.ts'
import { observedSend } from '../../lib/observed.ts'
import { createFaultLog, type FaultLog } from '../../lib/fault-tally.ts'
import { systemTime } from '../../lib/clock.ts'
import { createSend, type Send } from '../../lib/outbound.ts'
import { epochMillis } from '../../lib/time.ts'
import type { Clock, Logger, Span, Trouble, Unsubscribe, WaitingFor } from '../../types.ts'
import { boundedFetch } from '../bounded-fetch.ts'
import { createJwsVerifier, type JwsVerifier } from '../jws.ts'
import { createKeySet, fetchKeySet, type KeySet } from '../key-set.ts'
import { reachable } from '../reachable.ts'
import { createStale } from '../stale.ts'
import { CLOCK_TOLERANCE_S } from '../token-times.ts'
import { appErrorIn, messages } from './faults.ts'
import { isHttp, readMetadata } from './metadata.ts'
import type { OidcSettings } from './settings.ts'

/** Endpoints rarely move; a provider that cannot be asked again keeps its old ones. */
const METADATA = { maxAge: 3_600_000, maxStale: Number.POSITIVE_INFINITY, pause: 3000 }
/** Metadata that cannot be used is read again after so long, whether or not anybody signs in. */
const UNUSABLE_PAUSE: Span = 60_000
/** openid-client fetches keys for an unknown `kid` only when its set is this old, and forgets a set after 300 s. */
const KEY_REFETCH_FLOOR_S = 60

export interface OidcClientDeps {
  readonly idp: OidcSettings
  /** How to prove who we are, now. Absent: as `idp` says. */
  readonly clientAuth?: (() => ClientAuth) | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Absent: nobody traces. */
  readonly waitingFor?: WaitingFor | undefined
}

export interface OidcClient {
  /** See `IdentityProvider`. */
  readonly trouble: () => Trouble | undefined
  readonly close: () => void
  /** The way out to the provider. */
  readonly send: Send
  /** A configuration for one operation, so that its calls end with the caller's signal. */
  readonly connect: (signal: AbortSignal) => Promise<oidc.Configuration>
  /** Keys that the library had to read. */
  readonly rememberKeys: (config: oidc.Configuration) => void
  /** How far our clock is ahead of the provider's, by the `Date` of its last answer in this operation. */
  readonly skewOf: (config: oidc.Configuration) => Span | undefined
  /** Of a token that is no ID token of a sign-in. */
  readonly verify: JwsVerifier['verify']
}

/** The library's view of one provider: its metadata and keys, kept over operations, and who we are there. */
export function createOidcClient({
  idp,
  clientAuth = () => idp.clientAuth,
  clock,
  logger,
  waitingFor,
}: OidcClientDeps): OidcClient {
  const { timeout } = idp
  const way = observedSend(createSend(idp.outbound ?? {}, timeout), waitingFor, idp.name)
  const outage = reachable(way, { issuer: idp.issuer, clock, logger, timeout })
  const { send } = outage
  const tell = createFaultLog({ clock, logger })
  /** While it answers, and with no metadata that would do. */
  let unusable: Trouble | undefined
  let isDiscovered = false
  let stopAsking: Unsubscribe = () => {}
  const metadata = createStale({ ...METADATA, clock, read: discover })
  /** Signing keys: read by the library when there are none, or when a token names one that is unknown. */
  const keys = createKeySet({ clock, read: async () => readKeys(await metadata.get(), idp, send, tell) })
  const signatures = createJwsVerifier({ keys })
  const skews = new WeakMap<oidc.Configuration, Span>()

  async function discover(): Promise<oidc.ServerMetadata> {
    stopAsking()
    try {
      const found = await readMetadata(idp, { send, trouble: outage.trouble, logger, tell })
      isDiscovered = true
      unusable = undefined
      return found
    } catch (error) {
      // What was read before serves on; an outage is told, and ended, by the way out.
      if (!isDiscovered && !outage.trouble())
        unusable = { since: unusable?.since ?? clock.now(), reason: messageOf(error) }
      if (unusable) stopAsking = clock.after(UNUSABLE_PAUSE, () => void metadata.get().catch(() => undefined))
      throw error
    }
  }

  async function connect(signal: AbortSignal): Promise<oidc.Configuration> {
    const config = new oidc.Configuration(
      await metadata.get(),
      idp.clientId,
      // The library reads the wall clock; the skew makes it judge by ours.
      {
        [oidc.clockSkew]: Math.round((epochMillis(clock.now()) - systemTime()) / 1000),
        [oidc.clockTolerance]: CLOCK_TOLERANCE_S,
      },
      clientAuthentication(clientAuth()),
    )
    config.timeout = idp.timeout / 1000
    config[oidc.customFetch] = async (url, init) => {
      const response = await boundedFetch(url, init, signal, send)
      const date = Date.parse(response.headers.get('date') ?? '')
      if (!Number.isNaN(date)) skews.set(config, epochMillis(clock.now()) - date)
      return response
    }
    if (isHttp(idp.issuer) || isHttp(idp.internalUrl ?? '')) oidc.allowInsecureRequests(config)
    // Without this the signature of an ID token from the token endpoint goes unread: TLS would be the only proof.
    oidc.enableNonRepudiationChecks(config)
    const known = keys.peek()
    // As old as the library allows before it would wait for new ones, and old enough that it looks for a key published a
    // second ago. ID tokens come from the provider itself, so nobody can use an unknown `kid` to make us hammer it.
    if (known) oidc.setJwksCache(config, { jwks: known, uat: Math.floor(systemTime() / 1000) - KEY_REFETCH_FLOOR_S })
    return config
  }

  function rememberKeys(config: oidc.Configuration): void {
    const read = oidc.getJwksCache(config)
    if (read && read.uat > systemTime() / 1000 - KEY_REFETCH_FLOOR_S / 2) keys.put(read.jwks)
  }

  return {
    send,
    trouble: () => outage.trouble() ?? unusable,
    close() {
      stopAsking()
      outage.close()
    },
    connect,
    rememberKeys,
    skewOf: (config) => skews.get(config),
    verify: (token) => signatures.verify(token),
  }
}

/** In the background: the keys that are known serve meanwhile. */
async function readKeys(
  { jwks_uri: url = '' }: oidc.ServerMetadata,
  idp: OidcSettings,
  send: Send,
  tell: FaultLog,
): Promise<KeySet> {
  try {
    return await fetchKeySet(url, { send, timeout: idp.timeout })
  } catch (error) {
    const fault = appErrorIn(error) ?? new AppError('ERR_IDP_UNREACHABLE', messages(error))
    tell(fault, 'keys of the identity provider could not be read again', { issuer: idp.issuer })
    throw error
  }
}

function clientAuthentication(clientAuth: ClientAuth): oidc.ClientAuth {
  switch (clientAuth.kind) {
    case 'basic':
      return oidc.ClientSecretBasic(clientAuth.secret.reveal())
    case 'post':
      return oidc.ClientSecretPost(clientAuth.secret.reveal())
    case 'none':
      return oidc.None()
    case 'elsewhere':
      return () => {
        throw new AppError('ERR_IDP_UNREACHABLE', 'this process serves routes alone and has no secret of the provider')
      }
    default:
      return assertNever(clientAuth)
  }
}
