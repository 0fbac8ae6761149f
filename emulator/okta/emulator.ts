import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from './clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import type { Logger } from '../../src/types.ts'
import type { Clock } from './clock.ts'
import { consoleEndpoints } from './console.ts'
import { type Control, createControl } from './control.ts'
import { createOutbound } from './http/outbound.ts'
import type { Endpoint } from './http/router.ts'
import { RATE_PLANS, type RatePlan } from './http/rate-limit.ts'
import { createKeys, type Keys } from './oidc/keys.ts'
import type { BrowserIdentities } from './browser-identities.ts'
import type { Seed } from './seed.ts'
import { createWorld, type World } from './world.ts'

export interface OktaEmulatorOptions {
  /** 0, the default: any free port. */
  readonly port?: number
  readonly host?: string
  /** Origin under which clients reach the emulator; without it `http://localhost:PORT`. */
  readonly publicUrl?: string
  /** The management API is asked at the address that listens, not at `publicUrl`: so its links lead there. */
  readonly apiAtAddress?: boolean
  readonly clock?: Clock
  readonly seed?: Seed
  /** Name of a plan of okta-api.md#rate-limits, or requests a minute by bucket; `off` counts but never refuses. */
  readonly rateLimits?: keyof typeof RATE_PLANS | 'off' | RatePlan
  /** Share of a bucket that one API token may use. */
  readonly tokenShare?: number
  readonly concurrency?: number
  /** PEM of more authorities that event hooks and SCIM trust. */
  readonly outboundCa?: string
  readonly log?: Logger
  /** Browsers that sign in as somebody without being asked. */
  readonly identities?: BrowserIdentities
  /** Before the emulator's own page and control API. */
  readonly ownEndpoints?: (control: () => Control) => readonly Endpoint[]
  /** Sees every request first; true: it has answered. */
  readonly guard?: (req: IncomingMessage, res: ServerResponse) => boolean
}

/** A running emulator: Okta over HTTP at `url`, and what an Okta admin could do as methods. */
export interface OktaEmulator extends Control {
  /** Origin; also the issuer of the org authorization server. */
  readonly url: string
  /** Where it listens, which differs from `url` behind a `publicUrl`. */
  readonly address: AddressInfo
  close(): Promise<void>
}

/**
 * Okta in one process, for demo, tests and benchmarks: authorization servers, management API, a page at `/` and a
 * control API below `/control/`. Nothing is kept after `close`.
 */
export async function createOktaEmulator(options: OktaEmulatorOptions = {}): Promise<OktaEmulator> {
  const clock = options.clock ?? systemClock
  const keys = new Map<string, Keys>()
  const cursorKey = randomBytes(16).toString('hex')
  const outbound = createOutbound({ clock, ...(options.outboundCa !== undefined && { ca: options.outboundCa }) })
  let world: World | undefined

  const server = createServer((req, res) => {
    if (!options.guard?.(req, res)) void world?.serve(req, res)
  })
  // Tests open and drop many connections, which must not delay `close`.
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
  const url = new URL(options.publicUrl ?? `http://localhost:${address.port}`).origin
  const plan = ratePlan(options.rateLimits ?? 'workforce')

  const build = (): World =>
    createWorld({
      url,
      apiUrl: options.apiAtAddress ? `http://127.0.0.1:${address.port}` : url,
      clock,
      seed: options.seed ?? {},
      cursorKey,
      outbound,
      log: options.log ?? silentLogger,
      rates: { plan, tokenShare: options.tokenShare ?? 0.5, concurrency: options.concurrency ?? 75 },
      ownEndpoints: [
        ...(options.ownEndpoints?.(() => control) ?? []),
        ...consoleEndpoints({ url, control: () => control }),
      ],
      ...(options.identities && { identities: options.identities }),
      keysOf(serverId) {
        const existing = keys.get(serverId)
        if (existing) return existing
        const created = createKeys()
        keys.set(serverId, created)
        return created
      },
    })
  const current = (): World => (world ??= build())
  const control = createControl({
    world: current,
    outbound,
    reset() {
      world?.close()
      world = build()
    },
  })
  current()

  return {
    ...control,
    get org() {
      return current().org
    },
    get signals() {
      return current().signals
    },
    url,
    address,
    close: () =>
      new Promise((resolve) => {
        world?.close()
        outbound.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function ratePlan(choice: NonNullable<OktaEmulatorOptions['rateLimits']>): RatePlan {
  if (choice === 'off') return Object.fromEntries(Object.keys(RATE_PLANS.workforce).map((bucket) => [bucket, 1e9]))
  if (typeof choice === 'string') return RATE_PLANS[choice]
  return { ...RATE_PLANS.workforce, ...choice }
}
