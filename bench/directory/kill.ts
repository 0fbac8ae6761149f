import { signIn } from '../signed-in.ts'
import { each, sleep, until } from './http.ts'
import { groupName, orgOf, type Person } from './org.ts'
import { fact, isTrue, type Scenario, seconds } from './report.ts'
import { ANYBODY, createWorld, type World } from './world.ts'

/** Shorter than the default, so that a kill hits every part of a poll in less time. */
const INTERVAL = '1s'
const CHANGES_A_SECOND = 20
const LONGEST = 60_000
/** The first people are for sessions that end and begin again. */
const LEFT_ALONE = 50

/** Somebody whose sessions were cleared and who signed in again: the event must not end the new session, however often it is read. */
interface Returned {
  readonly person: Person
  readonly cookie: string
}

/**
 * kill -9 at random moments while changes flow; then every decision about everybody is compared with what Okta says. The
 * feed's interval is 1 s here.
 */
export async function kill(short: boolean): Promise<readonly Scenario[]> {
  const world = await createWorld(orgOf('1k', 700), INTERVAL)
  const kills = short ? 3 : 25
  try {
    await world.seed()
    await world.startPostern()
    const flow = startChanges(world)
    const returned: Returned[] = []
    for (let i = 0; i < kills; i++) {
      await sleep(300 + Math.random() * 2200)
      if (i % 4 === 1) returned.push(await leaveAndReturn(world, world.org.people[i] as Person))
      await world.postern().kill()
      await world.expireLease()
      await world.startPostern()
    }
    const changes = await flow.stop()
    const begin = performance.now()
    let wrong: readonly string[] = []
    const agrees = async (): Promise<boolean> => (wrong = await differences(world)).length === 0
    const settled = await until(agrees, LONGEST, 'decisions to agree', 500).then(
      () => true,
      () => false,
    )
    const took = performance.now() - begin
    // Events that were read twice have had their effect by now.
    await sleep(5000)
    const later = await differences(world)
    const ended: string[] = []
    for (const { person, cookie } of returned) {
      if ((await world.status(person, ANYBODY, cookie)) !== 200) ended.push(person.login)
      if ((await world.status(person, ANYBODY)) !== 401) ended.push(`${person.login}, before`)
    }
    for (const each of [...wrong, ...later, ...ended].slice(0, 10)) console.error(each)
    return [
      {
        name: `kill -9 at ${kills} random moments while ${CHANGES_A_SECOND} changes a second flow`,
        rows: [
          fact('changes', `${changes}`),
          isTrue('decisions that are not those of Okta', `${wrong.length}`, settled, 'none'),
          fact('agreement after the last change and kill', seconds(took)),
          isTrue('decisions that changed once more', `${later.length}`, later.length === 0, 'none'),
          isTrue(
            'sessions ended twice by one event',
            `${ended.length} of ${returned.length}`,
            ended.length === 0,
            'none',
          ),
        ],
      },
    ]
  } finally {
    await world.close()
  }
}

/** Changes memberships back and forth, and suspends somebody now and then. */
function startChanges({ org, okta }: World): { stop(): Promise<number> } {
  const { people, policyGroups } = org
  const ending = new AbortController()
  let count = 0
  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      const person = people[LEFT_ALONE + Math.floor(Math.random() * (people.length - LEFT_ALONE))] as Person
      const group = policyGroups[Math.floor(Math.random() * policyGroups.length)] ?? ''
      if (Math.random() < 0.02) await okta.setStatus(person.id, 'SUSPENDED')
      else await okta.setMember(group, person.id, Math.random() < 0.5)
      count++
      await sleep(1000 / CHANGES_A_SECOND)
    }
  }
  const done = run()
  return {
    async stop() {
      ending.abort()
      await done
      return count
    },
  }
}

async function leaveAndReturn(world: World, person: Person): Promise<Returned> {
  await world.okta.endSessions(person.id)
  const address = world.address(ANYBODY)
  const cookies = await signIn([address], world.okta.url, person.login)
  return { person, cookie: cookies.get(address) ?? '' }
}

/** Decisions about everybody on a fifth of the routes each, as far as they are not what Okta's own data say. */
async function differences(world: World): Promise<readonly string[]> {
  const different: string[] = []
  await each(world.org.people.slice(LEFT_ALONE), 32, async (person) => {
    const groups = world.groupsOf(person)
    const active = !world.okta.changed.statuses.has(person.id)
    for (const group of world.org.policyGroups.filter((_, i) => i % 5 === Number(person.id.slice(-1)) % 5)) {
      const wanted = !active ? 401 : groups.has(group) ? 200 : 403
      const got = await world.status(person, group)
      if (got !== wanted) different.push(`${person.login} at ${groupName(group)}: expected ${wanted}, got ${got}`)
    }
  })
  return different
}
