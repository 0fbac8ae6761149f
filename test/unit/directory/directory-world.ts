/** A directory on a scripted source, a store in memory and a clock that tests move. */
import { setImmediate as turn } from 'node:timers/promises'
import { createDirectory, type LiveDirectory } from '../../../src/directory/directory.ts'
import { AppError } from '../../../src/errors.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { DirectoryConfig } from '../../../src/config/model.ts'
import type { Entry, Group, Membership } from '../../../src/directory/model.ts'
import type { Store } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { recordedLog } from './recorded-log.ts'
import { entry, type ScriptedSource, scriptedSource } from './scripted-source.ts'
import { ISSUER, person } from '../../support/person.ts'

export const ANN = '00u1annAnnAnnAnnAnn1'

export const BOB = '00u1bobBobBobBobBob1'

export const MINUTE = 60_000

export const HOUR = 60 * MINUTE

export const TIMES = { refreshInterval: MINUTE, maxStaleness: HOUR, signInTimeout: 5000, order: [] }

export const OKTA: DirectoryConfig = {
  ...TIMES,
  kind: 'okta',
  url: new URL('https://org.okta.com'),
  credentials: { kind: 'token', token: new Secret('00token') },
  budget: 0.5,
  timeout: 10_000,
  logInterval: 10_000,
}

export let clock: ManualClock

export let store: Store

export let source: ScriptedSource

export let log: ReturnType<typeof recordedLog>

export let directory: LiveDirectory

export let opened: LiveDirectory[]

export async function open(from: ScriptedSource | undefined = source, shared = store): Promise<LiveDirectory> {
  const made = create(from, shared)
  await made.start()
  return made
}

export function create(from: ScriptedSource | undefined = source, shared = store): LiveDirectory {
  const made = createDirectory({
    issuer: ISSUER,
    source: from,
    store: shared,
    clock,
    config: OKTA,
    logger: log,
    random: () => 0.5,
  })
  opened.push(made)
  return made
}

export function openClaims(): LiveDirectory {
  const config: DirectoryConfig = { ...TIMES, kind: 'claims' }
  const made = createDirectory({ issuer: ISSUER, source: undefined, store, clock, config, logger: log })
  opened.push(made)
  return made
}

/** From now on Okta knows this of everybody who is asked for. */
export function everybodyHas(groups: readonly Group[], more: Partial<Entry> = {}): void {
  source.answers = (user) => entry(clock, user, groups, more)
}

export const unreachable = (): AppError =>
  new AppError('ERR_DIRECTORY_UNREACHABLE', 'okta: GET /api/v1/users failed: a test')

export const signIn = (user = ANN, of = directory) => of.refresh(person(user), new AbortController().signal)

/** Lets what has been started come to rest: promises only, no timers. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await turn()
}

/** In steps smaller than a round, so that each round settles before the next. */
export async function pass(time: number): Promise<void> {
  for (let left = time; left > 0; left -= 5000) await clock.advanceAsync(Math.min(left, 5000))
  await settle()
}

export function names(membership: Membership | 'unknown'): readonly string[] | 'unknown' {
  return membership === 'unknown' ? membership : membership.groups.map(({ name }) => name)
}

/** For `beforeEach`. */
export async function openWorld(): Promise<void> {
  clock = manualClock()
  store = createMemoryStore({ clock })
  source = scriptedSource()
  log = recordedLog()
  opened = []
  directory = await open()
}

/** For `afterEach`. */
export async function closeWorld(): Promise<void> {
  for (const one of opened) await one.close()
  await store.close()
}
