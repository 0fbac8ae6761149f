/**
 * For every key of the schema: a Postern that was started with one value and reloads another behaves as one that was
 * started with the other, or says that the key needs a restart and goes on as before. The keys come from the schema, so
 * that a new one cannot be forgotten: without a sample it fails here.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { globalKeys, type Key, routeKeys } from '../../src/config/keys.ts'
import { fingerprint } from '../../src/lib/fingerprint.ts'
import { globalSamples, routeSamples, type Sample, type Samples } from '../support/reload-samples.ts'
import { behaviour, createReloadWorld, type ReloadWorld, type Running, type Settings } from '../support/reload-world.ts'

let world: ReloadWorld
let samples: Samples
let ofRoutes: Samples
beforeAll(async () => {
  world = await createReloadWorld()
  samples = globalSamples(world)
  ofRoutes = routeSamples(world)
})
afterAll(() => world.close())

/** `certificate_file` has the samples of `certificate`. */
function contentOf({ path }: Key, among: readonly Key[]): string {
  const name = path.join('.')
  const content = name.replace(/_file$/, '')
  return among.some((other) => other.path.join('.') === content) ? content : name
}

function set(settings: Settings, path: readonly string[], value: unknown): Settings {
  const [first = '', ...rest] = path
  const inner = (settings[first] ?? {}) as Settings
  return { ...settings, [first]: rest.length === 0 ? value : set(inner, rest, value) }
}

/** The two configurations that a sample stands for. */
function pair(key: Key, sample: Sample): readonly [a: Settings, b: Settings] {
  const isFile = contentOf(key, globalKeys) !== key.path.join('.')
  const write = (settings: Settings, value: unknown): Settings => {
    if (!isFile || value === undefined) return value === undefined ? settings : set(settings, key.path, value)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    // Instead of the key itself, which `with` or the base may have.
    const content = [...key.path.slice(0, -1), (key.path.at(-1) ?? '').replace(/_file$/, '')]
    return set(set(settings, content, undefined), key.path, world.file(text))
  }
  const base = { ...world.base, ...sample.with }
  return [write(base, sample.a), write({ ...base, ...sample.andB }, sample.b)]
}

function routePair(key: Key, sample: Sample): readonly [a: Settings, b: Settings] {
  const [route, ...others] = world.base['routes'] as readonly Settings[]
  const [name = ''] = key.path
  const isFile = contentOf(key, routeKeys) !== name
  const configuration = (value: unknown, more: Settings): Settings => {
    const written = isFile && value !== undefined ? world.file(value as string) : value
    return { ...world.base, ...sample.global, routes: [{ ...route, ...more, [name]: written }, ...others] }
  }
  return [configuration(sample.a, { ...sample.with }), configuration(sample.b, { ...sample.with, ...sample.andB })]
}

/** Both must be seen to differ: a probe that sees no difference proves nothing. */
async function isLive([a, b]: readonly [Settings, Settings], observe: (running: Running) => Promise<unknown>) {
  const [started, expected] = [await world.start(a), await world.start(b)]
  const before = await observe(await world.start(a))
  const wanted = await observe(expected)
  expect(wanted).not.toEqual(before)
  expect(started.app.reload(world.compile(b)).needsRestart).toEqual([])
  expect(await observe(started)).toEqual(wanted)
  await Promise.all([started, expected].map(({ app }) => app.close()))
}

async function needsRestart(
  name: string,
  [a, b]: readonly [Settings, Settings],
  observe: (running: Running) => Promise<unknown>,
) {
  const running = await world.start(a)
  const before = await observe(running)
  expect(running.app.reload(world.compile(b)).needsRestart).toContain(name)
  expect(await observe(running)).toEqual(before)
  await running.app.close()
}

describe('every key outside routes', () => {
  test.each(globalKeys.map((key) => [key.path.join('.'), key] as const))('%s', async (name, key) => {
    const content = contentOf(key, globalKeys)
    const sample = samples[content]
    if (sample === undefined) throw new Error(`${name} has no sample in test/support/reload-samples.ts`)
    if (sample === 'one') return expect(key.only).toBe(true)
    if (sample === 'unused') {
      const value =
        key.kind === 'number' ? 3 : name.endsWith('_file') ? world.file('any text at all') : 'any text at all'
      const { base } = world
      // That it is ignored is a warning.
      const print = (settings: Settings): string => fingerprint({ ...world.compile(settings), warnings: [] })
      return expect(print(set(base, key.path, value))).toBe(print(base))
    }
    const observe = sample.observe ?? behaviour
    await (key.restart ? needsRestart(content, pair(key, sample), observe) : isLive(pair(key, sample), observe))
  })
})

describe('every key of a route', () => {
  test.each(routeKeys.map((key) => [key.path.join('.'), key] as const))('%s', async (name, key) => {
    const sample = ofRoutes[contentOf(key, routeKeys)]
    if (sample === undefined || typeof sample === 'string') {
      throw new Error(`${name} has no sample in test/support/reload-samples.ts`)
    }
    await isLive(routePair(key, sample), sample.observe ?? behaviour)
  })
})
