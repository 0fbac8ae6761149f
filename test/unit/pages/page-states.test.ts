/** Is the list of page states complete? V8 counts what runs while all of them are rendered. */
import { readdirSync, readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { describe, expect, test } from 'vitest'

/** Components; those of no page that a browser is shown are others' (onward.test.ts, access review). */
const COMPONENTS = /src\/pages\/(?!access|onward)[\w-]+\.tsx$/

test('every piece of every page is shown in some state', async () => {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Debugger.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  // Compiled from here on, and so counted.
  const { LOOKS, NOW } = await import('../../support/page-samples.ts')
  const { PAGE_STATES } = await import('../../support/page-states.ts')
  const { pageReply } = await import('../../../src/pages/render.ts')
  for (const settings of Object.values(LOOKS)) {
    for (const { status, page } of PAGE_STATES) {
      const common = { controlPrefix: '/.postern', requestId: 'r-1', now: NOW, settings }
      expect(pageReply(common, status, page).body).toContain('</html>')
    }
  }
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const pages = result.filter(({ url }) => COMPONENTS.test(url))
  expect(pages.length).toBeGreaterThan(12)
  const missed: string[] = []
  for (const { url, scriptId, functions } of pages) {
    const { scriptSource } = await session.post('Debugger.getScriptSource', { scriptId })
    for (const { functionName, ranges } of functions) {
      for (const { count, startOffset, endOffset } of ranges) {
        const text = scriptSource.slice(startOffset, endOffset).replaceAll(/\s+/g, ' ')
        if (count === 0 && !NOT_SHOWN.test(text))
          missed.push(`${url.replace(/.*\/src/, 'src')} ${functionName}: ${text.slice(0, 120)}`)
      }
    }
  }
  session.disconnect()
  expect(missed).toEqual([])
})

describe('docs/pages.md', () => {
  const root = new URL('../../../', import.meta.url)
  const folder = new URL('docs/pages/', root)

  test('shows the picture of each page (node test/support/run-ts.mjs e2e/browser/pictures.ts)', async () => {
    const { pictureList, pictureName, PICTURES } = await import('../../support/page-pictures.ts')
    expect(readFileSync(new URL('docs/pages.md', root), 'utf8')).toContain(pictureList())
    expect(readdirSync(folder).toSorted()).toEqual(PICTURES.map(pictureName).toSorted())
  })

  test.each(readdirSync(folder))('%s is a small WebP', (file) => {
    const content = readFileSync(new URL(file, folder))
    expect(content.subarray(0, 4).toString() + content.subarray(8, 12).toString()).toBe('RIFFWEBP')
    expect(content.length).toBeLessThanOrEqual(40 * 1024)
  })
})

/** What the test runner wraps exports in, and an address that no page has (pages.test.ts has them all). */
const NOT_SHOWN = /^catch \{\}$|^\(\) => \{ try \{ return \w+ \} catch|^: "\/"$/
