import { once } from 'node:events'
import { HOOK_EVENT_TYPES } from '../../src/directory/okta/events.ts'
import { sleep, until } from './http.ts'
import { orgOf, type Person } from './org.ts'
import { atMost, fact, percentile, type Row, type Scenario, seconds } from './report.ts'
import { ANYBODY, createWorld, type World } from './world.ts'

/** Longer than that is not measured, it fails. */
const LONGEST = 60_000
const POLL_INTERVAL = 10_000

type Trial = (person: Person, pause: number) => Promise<number>

/**
 * How long a change takes from the administrator's click to its effect, on many people at once and spread over the feed's
 * interval: by the System Log alone, and then with an event hook.
 */
export async function latency(short: boolean): Promise<readonly Scenario[]> {
  const world = await createWorld(orgOf('1k', 800))
  const trials = short ? 12 : 60
  try {
    await world.seed()
    await world.startPostern()
    const inPolicyGroup = world.org.people.filter(({ groups }) =>
      groups.some((group) => world.org.policyGroups.includes(group)),
    )
    const take = (): readonly Person[] => inPolicyGroup.splice(0, trials)
    // The first poll of a new process reads more than those that follow.
    await sleep(2000)
    const byFeed = await both(world, take, { spread: POLL_INTERVAL, pause: 50 })
    await world.okta.hook(world.hookUri, world.hookSecret, HOOK_EVENT_TYPES)
    const byHook = await both(world, take, { spread: 3000, pause: 10 })
    return [
      { name: `removed from a group → next request denied (${trials} people)`, rows: rows(byFeed[0], byHook[0]) },
      { name: `deactivated → open WebSocket closed (${trials} people)`, rows: rows(byFeed[1], byHook[1]) },
    ]
  } finally {
    await world.close()
  }
}

/** Removals and deactivations at the same time, of different people. */
function both(
  world: World,
  take: () => readonly Person[],
  { spread, pause }: { readonly spread: number; readonly pause: number },
): Promise<readonly [number[], number[]]> {
  const all = (people: readonly Person[], trial: Trial): Promise<number[]> =>
    Promise.all(
      people.map(async (person, i) => {
        await sleep((spread * i) / people.length)
        return trial(person, pause)
      }),
    )
  return Promise.all([all(take(), (person, every) => removal(world, person, every)), all(take(), deactivation(world))])
}

async function removal(world: World, person: Person, pause: number): Promise<number> {
  const group = world.org.policyGroups.find((id) => person.groups.includes(id)) ?? ''
  await expectStatus(world, person, group, 200)
  const begin = performance.now()
  await world.okta.setMember(group, person.id, false)
  await until(async () => (await world.status(person, group)) !== 200, LONGEST, 'a removal to count', pause)
  const took = performance.now() - begin
  await expectStatus(world, person, group, 403)
  return took
}

function deactivation(world: World): Trial {
  return async (person) => {
    const socket = await world.open(person, ANYBODY)
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(LONGEST) })
    const begin = performance.now()
    await world.okta.setStatus(person.id, 'DEPROVISIONED')
    await closed
    const took = performance.now() - begin
    await expectStatus(world, person, ANYBODY, 401)
    return took
  }
}

async function expectStatus(world: World, person: Person, route: string, wanted: number): Promise<void> {
  const status = await world.status(person, route)
  if (status !== wanted) throw new Error(`${person.login} at ${route}: expected ${wanted}, got ${status}`)
}

function rows(byFeed: readonly number[], byHook: readonly number[]): readonly Row[] {
  return [
    fact('by the System Log alone, half of them within', seconds(percentile(byFeed, 0.5))),
    atMost('by the System Log alone, p99', percentile(byFeed, 0.99) / 1000, 11, 's'),
    fact('with an event hook, half of them within', seconds(percentile(byHook, 0.5))),
    atMost('with an event hook, p99', percentile(byHook, 0.99) / 1000, 1, 's'),
  ]
}
