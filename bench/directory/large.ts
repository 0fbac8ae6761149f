import { signIn } from '../signed-in.ts'
import { openOperator } from '../../src/operator.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { call, each, sleep, until } from './http.ts'
import { type Metered, purposeOf, purposes, startMeter } from './meter.ts'
import { orgOf, type Person } from './org.ts'
import { atMost, fact, isTrue, percentile, type Row, type Scenario, seconds } from './report.ts'
import { ANYBODY, createWorld, type World } from './world.ts'

const MINUTE = 60_000
/** directory.okta.budget: of the limit that Okta shows to the token. */
const BUDGET = 0.5
const CHANGES_A_MINUTE = 500
const SIGN_INS_A_MINUTE = 1000
/** At once: the emulator and all browsers share a core. */
const MOST_SIGN_INS = 150
/** Longer than that is not measured, it fails. */
const LONGEST = 120_000

interface Plan {
  readonly size: '1k' | '100k'
  readonly live: number
  readonly strangers: number
  readonly quiet: number
  readonly churn: number
  readonly rush: number
}

const FULL: Plan = { size: '100k', live: 20_000, strangers: 1000, quiet: 2 * MINUTE, churn: 2 * MINUTE, rush: MINUTE }
const SHORT: Plan = { size: '1k', live: 700, strangers: 150, quiet: 6000, churn: 10_000, rush: 5000 }

/** A large org: cost when idle, under many changes, and when everybody signs in at once. */
export async function large(short: boolean): Promise<readonly Scenario[]> {
  const plan = short ? SHORT : FULL
  const world = await createWorld(orgOf(plan.size, plan.live, plan.strangers))
  const planted = performance.now()
  try {
    const first = await firstStart(world, plan)
    await world.seed()
    if (!short) await sleep(planted + PLANTED - performance.now())
    const again = await world.startPostern()
    return [
      { ...first, rows: [...first.rows, fact(`start to ready, ${plan.live} sessions in the store`, seconds(again))] },
      await quiet(world, plan),
      await churn(world, plan),
      await rush(world, plan, 'known since yesterday', world.org.people),
      await rush(world, plan, 'never seen before', world.org.strangers),
      await agreement(world),
    ]
  } finally {
    await world.close()
  }
}

/** With an empty store. The first comparison runs in the background. */
async function firstStart(world: World, { size }: Plan): Promise<Scenario> {
  const ready = await world.startPostern()
  const name = `first start, org of ${size}, nobody signed in`
  const start = atMost('start to ready, empty store', ready / 1000, 3, 's')
  if (size === '1k') {
    await world.postern().stop()
    return { name, rows: [start] }
  }
  const meter = await startMeter(world.okta, world.postern())
  const begin = performance.now()
  await settled(world)
  const took = performance.now() - begin - CALM
  const { calls } = await meter.stop()
  await world.postern().stop()
  return {
    name,
    rows: [
      start,
      fact('groups of policies compared once: calls', `${calls.length}`),
      fact('groups of policies compared once: time', seconds(Math.max(0, took))),
    ],
  }
}

const PING_INTERVAL = 50
const CALM = 15_000
/** Then the planting of the org is not among what changed just before a start. */
const PLANTED = 75_000
/** In a small org, it is done by then. */
const FIRST_COMPARISON = 11_000

/** Waits until Postern only polls the log and the lists of changes for a while. */
async function settled(world: World): Promise<void> {
  const steady = new Set(['log', 'groups changed', 'people changed'])
  let calmSince = performance.now()
  const seen = new Set<string>()
  const calm = async (): Promise<boolean> => {
    for (const one of await world.okta.calls()) {
      if (seen.has(one.requestId)) continue
      seen.add(one.requestId)
      if (one.userAgent === 'postern' && !steady.has(purposeOf(one))) calmSince = performance.now()
    }
    return performance.now() - calmSince > CALM
  }
  await until(calm, 6 * MINUTE, 'Postern to settle', 500)
}

async function quiet(world: World, plan: Plan): Promise<Scenario> {
  const { people } = world.org
  await each(people, 32, async (person) => {
    const status = await world.status(person, ANYBODY)
    if (status !== 200) throw new Error(`${person.login} is signed in: expected 200, got ${status}`)
  })
  if (plan.size === '1k') await sleep(FIRST_COMPARISON)
  else await settled(world)
  const meter = await startMeter(world.okta, world.postern())
  await sleep(plan.quiet)
  const metered = await meter.stop()
  return {
    name: `org of ${plan.size}, ${people.length} live sessions, nothing changes for ${plan.quiet / 1000} s`,
    rows: [
      atMost('management calls a minute', metered.calls.length / metered.minutes, 12, 'calls'),
      atMost('resident memory', metered.rss, 250, 'MiB'),
      atMost('CPU', metered.cpu * 100, 2, '%'),
      fact('resident memory without mapped files', `${metered.anonymous.toFixed(0)} MiB`),
      fact('calls', purposes(metered.calls)),
    ],
  }
}

/** A change, and what its effect can be seen by. */
interface Change {
  readonly person: Person
  readonly group: string
  readonly member: boolean
  readonly seen: boolean
}

/** Latency of requests while Postern is busy: the slowest answers to a cheap request. */
function pinging({ port }: World): () => Row {
  const waits: number[] = []
  const timer = setInterval(() => {
    const asked = performance.now()
    call({ port, path: '/ping' }).then(
      () => waits.push(performance.now() - asked),
      () => waits.push(Number.POSITIVE_INFINITY),
    )
  }, PING_INTERVAL)
  return () => {
    clearInterval(timer)
    const [p99, worst] = [percentile(waits, 0.99), percentile(waits, 1)]
    return fact('GET /ping meanwhile, p99 and slowest', `${p99.toFixed(0)} and ${worst.toFixed(0)} ms`)
  }
}

async function churn(world: World, plan: Plan): Promise<Scenario> {
  const changes = changesOf(world, Math.round((plan.churn / MINUTE) * CHANGES_A_MINUTE))
  const meter = await startMeter(world.okta, world.postern())
  const begin = performance.now()
  const lags: number[] = []
  const pinged = pinging(world)
  await Promise.all(
    changes.map(async ({ person, group, member, seen }, i) => {
      await sleep((plan.churn * i) / changes.length)
      const at = performance.now()
      await world.okta.setMember(group, person.id, member)
      if (!seen) return
      const wanted = member ? 200 : 403
      const counts = async (): Promise<boolean> => (await world.status(person, group)) === wanted
      if (
        await until(counts, LONGEST, '', 250).then(
          () => true,
          () => false,
        )
      )
        lags.push(performance.now() - at)
    }),
  )
  // What a change in a group makes due is compared within the next minute.
  await sleep(begin + plan.churn - performance.now())
  const metered = await meter.stop()
  const pings = pinged()
  const visible = changes.filter(({ seen }) => seen).length
  return {
    name: `the same, ${CHANGES_A_MINUTE} membership changes a minute for ${plan.churn / 1000} s`,
    rows: [
      isTrue('changes that decisions showed', `${lags.length} of ${visible}`, lags.length === visible, 'all'),
      atMost('change → decision, p99', percentile(lags, 0.99) / 1000, 15, 's'),
      fact('change → decision, half of them within', seconds(percentile(lags, 0.5))),
      fact('management calls a minute', (metered.calls.length / metered.minutes).toFixed(1)),
      fact('calls', purposes(metered.calls)),
      fact('CPU', `${(metered.cpu * 100).toFixed(1)} %`),
      fact('resident memory', `${metered.rss.toFixed(0)} MiB`),
      pings,
      ...budgetRows(metered),
    ],
  }
}

/** Three of five concern people with a session and groups of policies; the rest other groups, and people who never signed in. */
function changesOf({ org }: World, count: number): readonly Change[] {
  const { people, policyGroups, strangers } = org
  const changes: Change[] = []
  for (let i = 0; changes.length < count; i++) {
    const person = people[(i * 7) % people.length] as Person
    const named = policyGroups[i % policyGroups.length] ?? ''
    const own = person.groups.filter((group) => policyGroups.includes(group))
    switch (i % 5) {
      case 0:
      case 1:
        changes.push({ person, group: named, member: !person.groups.includes(named), seen: true })
        break
      case 2: {
        const group = own[0] ?? named
        changes.push({ person, group, member: own.length === 0, seen: true })
        break
      }
      case 3: {
        const group = person.groups.find((id) => !policyGroups.includes(id)) ?? named
        changes.push({ person, group, member: false, seen: false })
        break
      }
      default: {
        const stranger = strangers[i % strangers.length] as Person
        changes.push({ person: stranger, group: named, member: !stranger.groups.includes(named), seen: false })
      }
    }
  }
  return changes
}

function budgetRows({ share, bucket, refused }: Metered): readonly Row[] {
  return [
    atMost(`largest share of a bucket (${bucket})`, share * 100, BUDGET * 100, '%'),
    atMost('429 provoked', refused, 0, 'calls'),
  ]
}

async function rush(world: World, plan: Plan, who: string, from: readonly Person[]): Promise<Scenario> {
  const people = from.slice(0, Math.round((plan.rush / MINUTE) * SIGN_INS_A_MINUTE))
  const meter = await startMeter(world.okta, world.postern())
  const times: number[] = []
  let failed = 0
  let atOnce = 0
  const begin = performance.now()
  const due = people.map((person, i) => ({ person, at: begin + (plan.rush * i) / people.length }))
  await each(due, MOST_SIGN_INS, async ({ person, at }) => {
    await sleep(at - performance.now())
    const asked = performance.now()
    const address = world.address(ANYBODY)
    try {
      const cookies = await signIn([address], world.okta.url, person.login)
      times.push(performance.now() - asked)
      if (await world.knowsGroups(cookies.get(address) ?? '')) atOnce++
    } catch (error) {
      console.error(error)
      failed++
    }
  })
  const took = performance.now() - begin
  const metered = await meter.stop()
  const reconcile = metered.calls.filter((one) => purposeOf(one) !== 'log' && purposeOf(one) !== 'person').length
  return {
    name: `morning rush: ${people.length} sign-ins at ${SIGN_INS_A_MINUTE} a minute, people ${who}`,
    rows: [
      atMost('sign-ins that failed', failed, 0, 'people'),
      fact('sign-ins a minute', ((times.length / took) * MINUTE).toFixed(0)),
      fact('sign-in from first request to application, p50', seconds(percentile(times, 0.5))),
      fact('sign-in from first request to application, p99', seconds(percentile(times, 0.99))),
      fact('groups known when the application was reached', `${atOnce} of ${times.length}`),
      fact('calls', purposes(metered.calls)),
      fact('calls of the comparison meanwhile', `${reconcile}`),
      fact('CPU', `${(metered.cpu * 100).toFixed(1)} %`),
      ...budgetRows(metered),
    ],
  }
}

/** Everything that Postern knows about people with sessions, beside what Okta has. Who is in doubt waits for the budget to be read. */
async function agreement(world: World): Promise<Scenario> {
  const begin = performance.now()
  let compared = await compare(world)
  const agrees = async (): Promise<boolean> => {
    if (compared.different.length > 0) compared = await compare(world)
    return compared.different.length === 0
  }
  const agreed = await until(agrees, 3 * MINUTE, 'all groups to be those of Okta', 5000).then(
    () => true,
    () => false,
  )
  const { same, different } = compared
  for (const person of agreed ? [] : different.slice(0, 20)) console.error(`not as in Okta: ${JSON.stringify(person)}`)
  return {
    name: 'at the end',
    rows: [
      isTrue('people whose groups are those of Okta', `${same} of ${same + different.length}`, agreed, 'all'),
      fact('after the last sign-in', seconds(performance.now() - begin)),
    ],
  }
}

/** Somebody whose stored reading differs from Okta. */
interface Different {
  readonly subject: string
  readonly missing: readonly string[]
  readonly tooMany: readonly string[]
  readonly record: object | undefined
}

async function compare(world: World): Promise<{ readonly same: number; readonly different: readonly Different[] }> {
  const everybody = new Map([...world.org.people, ...world.org.strangers].map((person) => [person.id, person]))
  const operator = await openOperator(world.config, { clock: systemClock, logger: silentLogger })
  let same = 0
  const different: Different[] = []
  try {
    for await (const { subject, record } of operator.everybody()) {
      const person = everybody.get(subject)
      const known = (record?.groups ?? []).filter(({ type }) => type !== 'BUILT_IN').map(({ id }) => id)
      const real = person ? world.groupsOf(person) : new Set<string>()
      const missing = [...real].filter((id) => !known.includes(id))
      const tooMany = known.filter((id) => !real.has(id))
      if (missing.length === 0 && tooMany.length === 0) same++
      else different.push({ subject, missing, tooMany, record: record && { ...record, groups: known.length } })
    }
  } finally {
    await operator.close()
  }
  return { same, different }
}
