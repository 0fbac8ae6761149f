import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'
import { createOktaClient } from '../../src/directory/okta/client.ts'
import { createOktaSource } from '../../src/directory/okta/source.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { oktaError, oktaGroup, startScriptedOkta } from '../unit/directory/scripted-okta.ts'
import { watchedClock } from '../unit/directory/watched-clock.ts'
import { directorySourceContract } from './directory-source.ts'

directorySourceContract('okta', async () => {
  const clock = watchedClock()
  const okta = await startScriptedOkta(clock)
  const client = createOktaClient({
    origin: okta.origin,
    credentials: { kind: 'token', token: new Secret('00token') },
    clock,
    timeout: 10_000,
    budget: 0.5,
  })
  return {
    source: createOktaSource({ client, clock, logger: silentLogger }),
    clock,
    person: (n) => `00u${String(n).padStart(17, 'p')}`,
    group: (n) => ({ id: `00g${String(n).padStart(17, 'g')}`, name: `Group ${n}` }),
    async setActive(user, groups) {
      okta.setPerson(
        user,
        'ACTIVE',
        groups.map(({ id, name }) => oktaGroup(id, name)),
      )
    },
    async suspend(user) {
      okta.setPerson(user, 'SUSPENDED')
      return 'SUSPENDED'
    },
    async remove(user) {
      okta.removePerson(user)
    },
    async breakDown() {
      okta.answerAll(oktaError(403, 'E0000006'))
    },
    async close() {
      await client.close()
      await okta.close()
    },
  }
})

directorySourceContract('okta, against the emulator', async () => {
  const clock = watchedClock()
  const okta = await createOktaEmulator({ clock, seed: demoSeed() })
  const client = createOktaClient({
    origin: okta.url,
    credentials: { kind: 'token', token: new Secret(DEMO.apiToken) },
    clock,
    timeout: 10_000,
    budget: 0.5,
  })
  return {
    source: createOktaSource({ client, clock, logger: silentLogger }),
    clock,
    person: (n) => `00u${String(n).padStart(17, 'p')}`,
    group: (n) => ({ id: `00g${String(n).padStart(17, 'g')}`, name: `Group ${n}` }),
    async setActive(user, groups) {
      if (!okta.org.findPerson(user)) okta.addUser({ id: user, login: `${user}@example.com` })
      for (const { id, name } of groups) if (!okta.org.findGroup(id)) okta.addGroup({ id, name })
      for (const { id } of okta.org.groupsOf(user)) if (id !== DEMO.groups.everyone) okta.removeMember(id, user)
      for (const { id } of groups) okta.addMember(id, user)
    },
    async suspend(user) {
      okta.setStatus(user, 'SUSPENDED')
      return 'SUSPENDED'
    },
    async remove(user) {
      okta.org.deletePerson(user)
    },
    async breakDown() {
      okta.revokeApiToken(DEMO.apiToken)
    },
    async close() {
      await client.close()
      await okta.close()
    },
  }
})
