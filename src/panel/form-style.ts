/** The styles of forms that edit. */
export const formStyle = `
.edit { max-width: 48rem }
.edit .field { margin: .75rem 0; flex: 1 1 9rem; min-width: 0 }
.edit .field label, .edit .field input, .edit .field select { display: block; width: 100% }
.edit .hint { margin: .25rem 0; font-size: .8125rem }
.pair, .row { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: flex-start }
.pair .field { flex-basis: 16rem }
.row button { margin-top: 2.1rem }
fieldset { border: 1px solid var(--edge); border-radius: .5rem; margin: 1.25rem 0; padding: .5rem 1rem 1rem; min-width: 0 }
legend { font-weight: 600; padding: 0 .375rem }
.metric { border-bottom: 1px solid var(--edge); margin-bottom: .75rem; padding-bottom: .5rem }
.metric details { margin: .25rem 0 }
.error { color: var(--bad); margin: .25rem 0; font-size: .875rem; overflow-wrap: anywhere }
[aria-invalid] { border-color: var(--bad) }
.problem p, .problem ul { margin: .25rem 0 }
.problem a, .problem label { color: inherit }
.problem input { min-height: 0 }
.buttons, .actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center }
.actions form { margin: 0 }
.cards { margin: 1rem 0; table-layout: fixed }
.cards td, .empty { overflow-wrap: anywhere }
.cards details { margin: 0 }
.empty > :first-child { margin-top: 0 }
.empty > :last-child { margin-bottom: 0 }
button.danger { color: var(--bad); border-color: currentColor }
@media (max-width: 40rem) {
  .cards thead { position: absolute; left: -99rem }
  .cards tr { display: flex; flex-wrap: wrap; gap: .25rem .75rem; padding: .75rem 0; border-bottom: 1px solid var(--edge) }
  .cards th, .cards td { border: 0; padding: 0 }
  .cards tbody th { flex: 1 0 100% }
  .cards td[data-label]::before { content: attr(data-label) " "; color: var(--faint) }
}
`;
