import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { beginPage, returnPage } from '../../../src/pages/onward.tsx'

/** Whatever stands in an attribute, as the renderer of all other pages writes it. */
function rendered(text: string): string {
  return /data-next="([^"]*)"/.exec(returnPage(text))?.[1] ?? 'none'
}

test('the page that begins a sign-in has the address three times and the key once, escaped as everywhere', () => {
  const text = fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.string(), fc.constantFrom('"><script>', "$&$1'`"))
  fc.assert(
    fc.property(text, text, (rest, query) => {
      const next = `https://${rest}`
      const html = beginPage(next, `https://app.test/.postern/return?${query}`)
      const address = rendered(next)
      expect(html).toContain(`<script data-next="${address}" data-key="${rendered(`postern?${query}`)}">`)
      expect(html).toContain(`<meta http-equiv="refresh" content="0; url=${address}"/>`)
      expect(html).toContain(`<a href="${address}">Continue</a>`)
      expect(html.match(/<script/g)).toHaveLength(1)
    }),
  )
})
