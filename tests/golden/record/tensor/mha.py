from rawlib import *
s=Raw(sys.argv[1])
A=lambda n,sh: rng(n).uniform(-1,1,sh).astype("f4")
def case(name,N,Lq,Lk,H,qs,ks,vs,qp,kp,vp,op,bias=0,mask=None,train=False,dt="f4",mtype="DEFAULT_MASK",bkv=False,zero=False,outs=(0,1)):
    total=0
    if qp: total+=qs*qp
    if kp: total+=ks*kp
    if vp: total+=vs*vp
    if op: total+=(vp if vp else vs*H)*op
    for p in (qp,kp,vp,op):
        if bias and p: total+=p
    ins=dict(q=A(name+"q",(N,Lq,qs)).astype(dt),k=A(name+"k",(N,Lk,ks)).astype(dt),v=A(name+"v",(N,Lk,vs)).astype(dt),w=A(name+"w",(max(total,1),)).astype(dt))
    comb="NONE"
    if mask: ins["m"]=A(name+"m",mask).astype(dt); comb="ONLY_MASK"
    if bkv: ins["bk"]=A(name+"bk",(1,1,kp or ks)).astype(dt); ins["bv"]=A(name+"bv",(1,1,vp or vs)).astype(dt); comb="ALL" if mask else "ONLY_BIASKV"
    P=dict(num_heads=H,embeding_size=qs,k_size=ks,v_size=vs,qproj_size=qp,kproj_size=kp,vproj_size=vp,oproj_size=op,qbias=bool(bias and qp),kbias=bool(bias and kp),vbias=bool(bias and vp),obias=bool(bias and op),sm_scaler=.37,training=train,attn_mask_type=mtype if mask else "NO_MASK",tensor_combination_type=comb,add_zero_attn=zero)
    def b(m,v): 
        r=m.op("MultiHeadAttn",list(v.values()),[("param.MultiHeadAttn",P)],n_out=4)
        return [r[i] for i in outs]
    s.case("attention/"+name,b,ins)
    if train:
        def bb(m,v):
            v=list(v.values()); f=m.op("MultiHeadAttn",v[:-1],[("param.MultiHeadAttn",P)],n_out=4)
            r=m.op("MultiHeadAttnBackward",[v[-1]]+v[:-1]+f[1:4],[("param.MultiHeadAttn",P)],n_out=6)
            return r[:4]
        o=op or (vp if vp else vs*H)
        s.case("attention/bwd_"+name,bb,dict(ins,d=A(name+"d",(N,Lq,o)).astype(dt)))
for train in (False,True):
    t="_t" if train else ""
    for dt in ("f4","f2"):
        case("full_%s%s"%(dt,t),2,3,5,2,4,4,4,4,4,4,4,train=train,dt=dt)
        case("bias_%s%s"%(dt,t),2,3,5,2,4,6,8,4,4,6,5,1,train=train,dt=dt)
    case("h1"+t,2,3,5,1,4,4,4,4,4,4,4,1,train=train)
    case("noproj"+t,2,3,5,2,4,4,6,0,0,0,0,train=train)
    case("noproj1"+t,2,3,5,1,4,4,6,0,0,0,0,train=train)
    case("onlyo"+t,2,3,5,2,4,4,6,0,0,0,7,1,train=train)
    case("noo"+t,2,3,5,2,4,4,6,4,4,8,0,1,train=train)
    case("novproj"+t,2,3,5,2,4,4,6,4,4,0,0,1,train=train)
    case("mask3"+t,2,3,5,2,4,4,4,4,4,4,4,mask=(4,3,5),train=train)
    case("mask1"+t,2,3,5,2,4,4,4,4,4,4,4,mask=(1,3,5),train=train)
    case("masku"+t,2,3,5,2,4,4,4,4,4,4,4,mask=(1,3,5),train=train,mtype="USER_DEFINED_MASK")
    case("maskc"+t,2,3,5,2,4,4,4,4,4,4,4,mask=(1,3,5),train=train,mtype="CUDNN_STYLE_MASK")
    case("bkv"+t,2,3,5,2,4,4,4,4,4,4,4,1,train=train,bkv=True)
    case("zero"+t,2,3,5,2,4,4,4,4,4,4,4,1,train=train,zero=True)
    case("bkvmask"+t,2,3,5,2,4,4,4,4,4,4,4,1,train=train,bkv=True,mask=(1,3,6),zero=False)
    case("big"+t,3,17,19,4,32,32,32,32,32,32,32,1,train=train)
s.write()
