/** Directories of other sources: claims alone, several combined, and two issuers side by side. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { entryFromClaims } from '../../../src/directory/claims.ts'
import { createDirectory } from '../../../src/directory/directory.ts'
import { createDirectoryTable } from '../../../src/directory/records.ts'
import { createIssuer } from '../../../src/lib/person.ts'
import type { Group, Membership } from '../../../src/directory/model.ts'
import { entry, group } from './scripted-source.ts'
import { person } from '../../support/person.ts'
import {
  ANN,
  clock,
  closeWorld,
  directory,
  everybodyHas,
  HOUR,
  log,
  names,
  OKTA,
  open,
  openClaims,
  opened,
  openWorld,
  pass,
  settle,
  signIn,
  source,
  store,
} from './directory-world.ts'

beforeEach(openWorld)
afterEach(closeWorld)

describe('without a service account', () => {
  const admins: Group = { id: 'Admins', name: 'Admins', type: 'CLAIM' }

  test('groups are what was said last, by a sign-in or a refresh, until that is too old; that somebody was told of stays known', async () => {
    const claims = openClaims()
    await claims.start()
    claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    expect(await signIn(ANN, claims)).toMatchObject({ source: 'claims', groups: [admins] })
    expect(claims.status(person(ANN))).toBe('active')
    for (let hour = 0; hour < 14; hour++) {
      await pass(HOUR)
      expect(names(claims.membership(person(ANN)))).toEqual(['Admins'])
      claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
      await settle()
    }
    await claims.close()
    const again = openClaims()
    await again.start()
    expect(names(again.membership(person(ANN)))).toEqual(['Admins'])
    await pass(HOUR + 1)
    expect(again.membership(person(ANN))).toBe('unknown')
    expect(again.status(person(ANN))).toBe('active')
  })

  test('a later sign-in replaces the groups, and one without the claim makes them unknown', async () => {
    const claims = openClaims()
    const heard: string[] = []
    claims.onChange((_user, status) => void heard.push(status))
    claims.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    clock.advance(1000)
    claims.observe(person(ANN), entryFromClaims(ANN, [], clock.now()))
    expect(names(claims.membership(person(ANN)))).toEqual([])
    await settle()
    await claims.forget(person(ANN))
    expect(claims.membership(person(ANN))).toBe('unknown')
    expect(await store.get(createDirectoryTable(), person(ANN))).toBeUndefined()
    expect(heard).toEqual(['active', 'unknown'])
  })

  test('with a source, claims of a sign-in are ignored', async () => {
    directory.observe(person(ANN), entryFromClaims(ANN, [admins], clock.now()))
    await settle()
    expect(directory.membership(person(ANN))).toBe('unknown')
  })
})

describe('of combined sources', () => {
  test('news of one costs a reading of that one, and makes nothing younger; a doubt about all needs all', async () => {
    const asked: (string | undefined)[] = []
    const lookup = source.lookup.bind(source)
    source.lookup = (user, signal, priority, changed) => (asked.push(changed), lookup(user, signal, priority))
    everybodyHas([group(1)], { upTo: clock.now() })
    await signIn()
    const { freshAt } = directory.membership(person(ANN)) as Membership
    clock.advance(5000)
    everybodyHas([group(2)], { asOf: clock.now() - 7000, upTo: clock.now() })
    directory.reread(ANN, 'scim')
    await settle()
    expect(asked).toEqual([undefined, 'scim'])
    expect(directory.membership(person(ANN))).toMatchObject({ freshAt, groups: [group(2)] })
    expect(directory.facts().doubtful).toBe(0)
    source.hold = true
    directory.reread(ANN, 'scim')
    await settle()
    await directory.absorb([{ kind: 'reread', user: ANN, at: clock.now() }], 'log')
    source.hold = false
    source.lookups.at(-1)?.answer(entry(clock, ANN, [group(2)], { asOf: clock.now() - 7000, upTo: clock.now() }))
    await pass(15_000)
    expect(asked.slice(2)).toEqual(['scim', undefined])
    expect(directory.facts().doubtful).toBe(0)
  })
})

describe('two issuers that gave two people the same subject', () => {
  const THERE = createIssuer('https://there.okta.example')

  test('each directory knows its own, in one store too, and nothing of the other', async () => {
    const there = createDirectory({ issuer: THERE, source, store, clock, config: OKTA, logger: log })
    opened.push(there)
    await there.start()
    everybodyHas([group(1)])
    await signIn()
    await settle()
    expect(there.membership(THERE.person(ANN))).toBe('unknown')
    expect(there.membership(person(ANN))).toBe('unknown')
    expect(there.status(person(ANN))).toBe('unknown')
    everybodyHas([group(2)])
    await there.refresh(THERE.person(ANN), new AbortController().signal)
    await settle()
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
    expect(names(there.membership(THERE.person(ANN)))).toEqual(['Group 2'])
    expect(directory.membership(THERE.person(ANN))).toBe('unknown')
  })

  test('a suspension here ends sessions and rechecks streams of the person here only', async () => {
    const told: string[] = []
    directory.onChange((who) => void told.push(who))
    directory.onSessionsEnd((who) => void told.push(who))
    await directory.absorb([{ kind: 'sessions-ended', user: ANN, before: clock.now() }], 'log')
    expect(told).toEqual([person(ANN)])
  })

  test('refresh of somebody of another issuer reads nobody, forget forgets nobody', async () => {
    everybodyHas([group(1)])
    await signIn()
    source.lookups.length = 0
    expect(await directory.refresh(THERE.person(ANN), new AbortController().signal)).toBe('unknown')
    await directory.forget(THERE.person(ANN))
    expect(source.lookups).toEqual([])
    expect(names(directory.membership(person(ANN)))).toEqual(['Group 1'])
  })

  test('claims of another issuer are not taken for those of the same subject here', async () => {
    const claims = openClaims()
    claims.observe(THERE.person(ANN), entryFromClaims(ANN, [group(1)], clock.now()))
    await settle()
    expect(claims.membership(person(ANN))).toBe('unknown')
    expect(claims.membership(THERE.person(ANN))).toBe('unknown')
  })

  test('a record that an older Postern kept by subject alone is nobody here', async () => {
    await store.put(createDirectoryTable(), ANN, {
      source: 'okta',
      status: 'active',
      statusText: 'ACTIVE',
      groups: [group(1)],
      asOf: clock.now(),
      readAt: clock.now(),
    })
    await settle()
    expect((await open()).membership(person(ANN))).toBe('unknown')
    expect(directory.membership(person(ANN))).toBe('unknown')
  })
})
