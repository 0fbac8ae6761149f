import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { createOktaClient, type OktaClient } from '../../src/directory/okta/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { each } from './http.ts'
import { startOkta } from './okta.ts'
import type { SizeName } from './org.ts'
import { fact, type Row, type Scenario, seconds } from './report.ts'

const PARALLEL = 4
/** GET /groups and /groups/{id}/users of a Workforce org, and what one token may use of it (okta-api.md#rate-limits). */
const TOKEN_LIMIT = 500 * 0.5

/**
 * The other design, measured: every group and all members of every group, 200 a page, with the product's own client and
 * without limits; the minutes follow from the calls, because a bucket gives so many a minute and no more.
 */
export async function fullSync(short: boolean): Promise<readonly Scenario[]> {
  const sizes: readonly SizeName[] = short ? ['1k'] : ['1k', '20k', '100k']
  const rows: Row[] = []
  for (const size of sizes) rows.push(...(await syncOf(size)))
  return [{ name: 'the comparison: every group and its members, read once', rows }]
}

async function syncOf(size: SizeName): Promise<readonly Row[]> {
  const okta = await startOkta({ size, limits: 'off' })
  const client = createOktaClient({
    origin: okta.url,
    credentials: { kind: 'token', token: new Secret(DEMO.apiToken) },
    clock: systemClock,
    timeout: 60_000,
    budget: 1,
  })
  const begin = performance.now()
  const groups: string[] = []
  let members = 0
  try {
    for await (const body of pagesOf(client, '/api/v1/groups')) {
      // `Everyone` is left out, in favour of this design.
      for (const { id, type } of body) if (type !== 'BUILT_IN') groups.push(id)
    }
    await each(groups, PARALLEL, async (id) => {
      for await (const body of pagesOf(client, `/api/v1/groups/${id}/users`)) members += body.length
    })
    const calls = client.calls().reduce((sum, { count }) => sum + count, 0)
    const windows = Math.ceil(calls / TOKEN_LIMIT)
    return [
      fact(`${size}: ${groups.length} groups, ${members} memberships: calls`, `${calls}`),
      fact(`${size}: at ${TOKEN_LIMIT} calls a minute`, windows <= 1 ? 'under a minute' : `${windows - 1} minutes`),
      fact(`${size}: without any limit, of the emulator on one core`, seconds(performance.now() - begin)),
    ]
  } finally {
    await client.close()
    await okta.program.stop()
  }
}

type Listed = readonly { readonly id: string; readonly type: string }[]

/** All pages; the product itself stops after a hundred. */
async function* pagesOf(client: OktaClient, path: string): AsyncIterable<Listed> {
  const options = { signal: new AbortController().signal, priority: 'sign-in' } as const
  let next: string | undefined = `${path}?limit=200`
  while (next !== undefined) {
    const answer = await client.get(next, {}, options)
    if (!answer) throw new Error(`bench: GET ${next} is not there`)
    yield answer.body as Listed
    next = answer.next
  }
}
