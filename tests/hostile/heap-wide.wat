;; Has one array hold all other objects, so that a collection follows them in one step.
(module
  (type $box (struct (field i32)))
  (type $boxes (array (mut (ref null $box))))
  (func (export "_start") (local $i i32) (local $all (ref $boxes))
    (local.set $all (array.new_default $boxes (i32.const 80000)))
    (loop $more
      (array.set $boxes (local.get $all) (local.get $i) (struct.new $box (local.get $i)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 80000))))
    (loop $for_ever
      (array.set $boxes (local.get $all) (i32.const 0) (struct.new $box (i32.const 1)))
      (br $for_ever))))
