import { createScim } from '../../src/directory/scim/server.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { manualClock } from '../support/clock.ts'
import type { SourceWorld } from './directory-source.ts'

const TOKEN = 'scim-token'

/** A SCIM source and the client that pushes to it. */
export async function scimWorld(): Promise<SourceWorld & { breakDown(): Promise<void> }> {
  const clock = manualClock()
  const store = createMemoryStore({ clock })
  const scim = createScim({
    issuer: 'https://org.okta.example',
    store,
    clock,
    token: new Secret(TOKEN),
    baseUrl: () => new URL('https://authenticate.localhost/.postern/scim/v2'),
    logger: silentLogger,
  })
  await scim.start()
  /** Our ids by the client's. */
  const users = new Map<string, string>()
  const groups = new Map<string, string>()

  async function send(method: string, path: string, body: object): Promise<{ readonly id: string }> {
    const answer = await scim.handle({
      method,
      path,
      query: new URLSearchParams(),
      authorization: `Bearer ${TOKEN}`,
      body: JSON.stringify(body),
    })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.body}`)
    return JSON.parse(answer.body || '{}') as { id: string }
  }

  const patch = (path: string, ...Operations: readonly object[]) => send('PATCH', path, { Operations })

  return {
    source: scim.source,
    clock,
    person: (n) => `00u${String(n).padStart(17, 'p')}`,
    group: (n) => {
      const name = `Group ${n}`
      return {
        name,
        // The server makes the id when the group is first pushed.
        get id() {
          return groups.get(name) ?? 'not yet pushed'
        },
      }
    },
    async setActive(user, wanted) {
      const id = users.get(user) ?? (await send('POST', '/Users', { userName: user, externalId: user })).id
      users.set(user, id)
      await patch(`/Users/${id}`, { op: 'replace', value: { active: true } })
      for (const { name } of wanted) {
        if (!groups.has(name)) groups.set(name, (await send('POST', '/Groups', { displayName: name })).id)
      }
      for (const [name, group] of groups) {
        const isIn = wanted.some((one) => one.name === name)
        await patch(
          `/Groups/${group}`,
          isIn
            ? { op: 'add', path: 'members', value: [{ value: id }] }
            : { op: 'remove', path: `members[value eq "${id}"]` },
        )
      }
    },
    async suspend(user) {
      await patch(`/Users/${users.get(user)}`, { op: 'replace', value: { active: false } })
      return 'INACTIVE'
    },
    async remove(user) {
      await send('DELETE', `/Users/${users.get(user)}`, {})
    },
    breakDown: () => store.close(),
    async close() {
      await scim.close()
      await store.close()
    },
  }
}
