/**
 * `npm run bench -- --scim [--short]`: how long SCIM requests on a group of 100,000 hold up everybody else. The built
 * program has a core for itself; a probe in it measures the longest turn of its event loop. A missed bound is printed and
 * does not fail the run; a wrong answer does.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'
import { demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createRegistry } from '../../src/directory/scim/registry.ts'
import type { ScimUser } from '../../src/directory/scim/user.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { randomId } from '../../src/lib/crypto.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { type Answer, call, sleep, until } from '../directory/http.ts'
import { atMost, printRow, seconds } from '../directory/report.ts'
import { BESIDE, freePort, node, start, stopAll, UNDER_TEST } from '../programs.ts'
import { commonSettings } from '../settings.ts'

const LONGEST_TURN = 20
const TOKEN = 'scim-token-of-this-bench-0123456789abcdef'
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
/** Nothing is measured before what the start left has been done. */
const CALM = 3000

export async function benchScim(args: readonly string[]): Promise<void> {
  const count = args.includes('--short') ? 5000 : 100_000
  execFileSync('taskset', ['-a', '-c', '-p', String(BESIDE), String(process.pid)], { stdio: 'ignore' })
  const directory = mkdtempSync(join(tmpdir(), 'postern-scim-'))
  const [port, probe] = [await freePort(), await freePort()]
  const okta = await createOktaEmulator({ seed: demoSeed() })
  try {
    const storage = join(directory, 'store')
    const ids = await plantUsers(storage, okta.url, count)
    const file = join(directory, 'config.yaml')
    const settings = { ...commonSettings({ port, okta: okta.url, store: storage }), idp_service_account: undefined }
    const route = { from: `http://app.localhost:${port}`, to: 'http://127.0.0.1:9', allowed_groups: ['Everybody'] }
    writeFileSync(file, JSON.stringify({ ...settings, directory: { scim_token: TOKEN }, routes: [route] }))
    process.env['BENCH_PROBE'] = String(probe)
    const preload = fileURLToPath(new URL('probe.js', import.meta.url))
    const [command = '', ...rest] = node('../cmd/postern/main.js', 'run', '--config', file)
    start(UNDER_TEST, [command, '--import', preload, ...rest])
    await until(() => isUp(port), 60_000, 'Postern')
    console.log(`longest turn of the event loop, a group of ${count} members`)
    await measure(port, probe, ids)
  } finally {
    stopAll()
    await okta.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function isUp(port: number): Promise<boolean> {
  return call({ port, path: '/ping' }).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** As many people as a push of each of them would have left in the store. Gives their ids. */
async function plantUsers(path: string, issuer: string, count: number): Promise<readonly string[]> {
  const store = openLmdbStore({ path, clock: systemClock, logger: silentLogger })
  const { users, groups } = createRegistry({ store, clock: systemClock, logger: silentLogger, issuer })
  const ids: string[] = []
  for (let first = 0; first < count; first += 1000) {
    const piece = new Map<string, ScimUser>()
    for (let number = first; number < Math.min(first + 1000, count); number++) {
      const [id, login] = [randomId(), `person${number}@example.com`]
      const emails = [{ value: login, type: 'work', primary: true }]
      const at = Date.now()
      ids.push(id)
      piece.set(id, {
        id,
        externalId: `00ugen${number}`,
        userName: login,
        active: true,
        emails,
        createdAt: at,
        changedAt: at,
      })
    }
    await store.write(users.table, piece, { table: groups.table, key: '', version: 0 })
  }
  await store.close()
  return ids
}

async function measure(port: number, probe: number, ids: readonly string[]): Promise<void> {
  const headers = {
    host: `authenticate.localhost:${port}`,
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/scim+json',
  }

  async function timed(what: string, wanted: number, method: string, path: string, body?: object): Promise<Answer> {
    await call({ port: probe, path: '/' })
    const begin = performance.now()
    const text = body && { body: JSON.stringify(body) }
    const answer = await call({ port, path: `/.postern/scim/v2${path}`, method, headers, ...text })
    const took = performance.now() - begin
    if (answer.status !== wanted) throw new Error(`${what}: expected ${wanted}, got ${answer.status} ${answer.body}`)
    // What a change sets in motion goes on after its answer.
    await sleep(CALM)
    const turn = Number((await call({ port: probe, path: '/' })).body)
    printRow(atMost(`${what} (${seconds(took)})`, turn, LONGEST_TURN, 'ms'))
    return answer
  }

  const whole = (members: readonly string[]): object => ({
    schemas: [GROUP],
    displayName: 'Everybody',
    members: members.map((value) => ({ value, display: 'person@example.com' })),
  })
  const one = (op: string): object => ({
    schemas: [PATCH],
    Operations: [
      op === 'add'
        ? { op, path: 'members', value: [{ value: ids[0] }] }
        : { op, path: `members[value eq "${ids[0]}"]` },
    ],
  })
  await sleep(CALM)
  await call({ port: probe, path: '/' })
  await timed('GET /Users, the first page', 200, 'GET', '/Users?startIndex=1&count=100')
  await timed('GET /Users, the last page', 200, 'GET', `/Users?startIndex=${ids.length - 99}&count=100`)
  await timed(
    'GET /Users by userName',
    200,
    'GET',
    `/Users?filter=${encodeURIComponent('userName eq "person7@example.com"')}`,
  )
  const created = await timed('POST /Groups with all members', 201, 'POST', '/Groups', whole(ids))
  const { id } = JSON.parse(created.body) as { readonly id: string }
  const path = `/Groups/${id}`
  await timed('GET the group with members', 200, 'GET', path)
  await timed('GET /Groups', 200, 'GET', '/Groups?startIndex=1&count=100')
  await timed(
    'GET /Groups by displayName',
    200,
    'GET',
    `/Groups?filter=${encodeURIComponent('displayName eq "Everybody"')}`,
  )
  await timed('PATCH, one member leaves', 200, 'PATCH', path, one('remove'))
  await timed('PATCH, one member comes', 200, 'PATCH', path, one('add'))
  await timed('PUT, nothing changes', 200, 'PUT', path, whole(ids))
  await timed('PUT, half of the members leave', 200, 'PUT', path, whole(ids.slice(ids.length / 2)))
  await timed('PUT, they come back', 200, 'PUT', path, whole(ids))
  await timed('GET one of the users', 200, 'GET', `/Users/${ids[1]}`)
  await timed('DELETE the group', 204, 'DELETE', path)
}
