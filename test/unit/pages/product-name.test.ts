import { expect, test } from 'vitest'
import { pageReply } from '../../../src/pages/render.ts'
import { LOOKS, NOW } from '../../support/page-samples.ts'
import { PAGE_STATES } from '../../support/page-states.ts'

test.each(PAGE_STATES)('$name calls the product what the operator calls it', ({ status, page }) => {
  const settings = { ...LOOKS.ours, productName: 'Acme Gate' }
  const { body } = pageReply({ controlPrefix: '/.postern', requestId: 'r-1', now: NOW, settings }, status, page)
  expect(String(body)).toContain('Acme Gate')
  expect(String(body)).not.toContain('Postern')
})
