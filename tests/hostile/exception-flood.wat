;; Throws and catches for ever.
(module
  (tag $oops (param i64))
  (func (export "_start")
    (loop $more
      (block $caught (result i64) (try_table (catch $oops $caught) (throw $oops (i64.const 1))) (i64.const 0))
      (drop)
      (br $more))))
